"""Value locked in chains, heads of chains, smart-money flow, and what paid answers cost."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names
from omc_pipeline.ledgers.knowledge import guard_table

revision = "b1001b"
down_revision = "b1001"
branch_labels = None
depends_on = None

MONEY = "numeric(38,18)"
BOOKKEEPING = """
    version integer NOT NULL CHECK (version >= 1),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    payload_sha256 text,
    row_sha256 text NOT NULL
"""
TABLES = {
    "glass.chain_tvl": f"""
CREATE TABLE glass.chain_tvl (
    source text NOT NULL, chain text NOT NULL, observed_at timestamptz NOT NULL, symbol text, tvl_usd {MONEY} NOT NULL, {BOOKKEEPING},
    PRIMARY KEY (source, chain, observed_at, version)
);
COMMENT ON TABLE glass.chain_tvl IS 'Value locked in all protocols of a chain; sums such as staking are no chains.';
""",
    "glass.chain_block": f"""
CREATE TABLE glass.chain_block (
    source text NOT NULL, chain text NOT NULL, block_hash text NOT NULL, number integer NOT NULL, observed_at timestamptz NOT NULL,
    base_fee_gwei {MONEY}, gas_used {MONEY} NOT NULL, gas_limit {MONEY} NOT NULL, transactions integer NOT NULL, {BOOKKEEPING},
    PRIMARY KEY (source, chain, block_hash, version)
);
CREATE INDEX ON glass.chain_block (chain, observed_at);
COMMENT ON TABLE glass.chain_block IS 'Blocks that were heads of chains when these were asked for; those between have no row.';
COMMENT ON COLUMN glass.chain_block.base_fee_gwei IS 'A unit of gas, in 1e-9 of the coin of the chain.';
""",
    "glass.smart_money_flow": f"""
CREATE TABLE glass.smart_money_flow (
    source text NOT NULL, chain text NOT NULL, token_address text NOT NULL, observed_at timestamptz NOT NULL, symbol text, marks text,
    net_flow_1h_usd {MONEY}, net_flow_24h_usd {MONEY}, net_flow_7d_usd {MONEY}, net_flow_30d_usd {MONEY}, traders integer,
    market_cap_usd {MONEY}, {BOOKKEEPING},
    PRIMARY KEY (source, chain, token_address, observed_at, version)
);
CREATE INDEX ON glass.smart_money_flow (symbol, observed_at);
COMMENT ON TABLE glass.smart_money_flow IS 'Flow into tokens less flow out, of wallets called smart, over spans that end at observed_at.';
COMMENT ON COLUMN glass.smart_money_flow.symbol IS 'As the token calls itself: not unique, and no name of an asset.';
""",
    "glass.api_credit": f"""
CREATE TABLE glass.api_credit (
    source text NOT NULL, api text NOT NULL, request text NOT NULL, observed_at timestamptz NOT NULL,
    cost {MONEY}, used {MONEY}, remaining {MONEY}, {BOOKKEEPING},
    PRIMARY KEY (source, api, request, observed_at, version)
);
COMMENT ON TABLE glass.api_credit IS 'What each answer of an API that is paid by credits cost; NULL where it did not say.';
""",
}


def upgrade() -> None:
    """Make the tables, put them under knowledge time, and grant each role the least it needs."""
    roles = role_names(op.get_bind())
    for table, statements in TABLES.items():
        op.execute(statements)
        op.execute(f"CREATE INDEX ON {table} (observed_at)")
        op.execute(f"CREATE INDEX ON {table} USING brin (recorded_at) WITH (autosummarize = on)")
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {roles.writer}")
        op.execute(f"GRANT SELECT ON {table} TO {roles.reader}")
        for statement in guard_table(table):
            op.execute(statement)
    op.execute(f"GRANT SELECT ON glass.chain_tvl, glass.chain_block, glass.smart_money_flow TO {roles.agent}")
