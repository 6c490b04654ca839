"""Candles of public markets, and reference rates of money."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names
from omc_pipeline.ledgers.knowledge import guard_table

revision = "b1001"
down_revision = "b2001b"
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
    "glass.market_candle": f"""
CREATE TABLE glass.market_candle (
    source text NOT NULL, venue text NOT NULL, symbol text NOT NULL, currency text NOT NULL, interval text NOT NULL,
    opened_at timestamptz NOT NULL, open {MONEY} NOT NULL, high {MONEY} NOT NULL, low {MONEY} NOT NULL, close {MONEY} NOT NULL,
    vwap {MONEY}, volume {MONEY} NOT NULL, trades integer NOT NULL, is_final boolean NOT NULL, {BOOKKEEPING},
    PRIMARY KEY (source, venue, symbol, currency, interval, opened_at, version)
);
CREATE INDEX ON glass.market_candle (opened_at);
CREATE INDEX ON glass.market_candle (symbol, currency, interval, opened_at);
COMMENT ON TABLE glass.market_candle IS 'Trades of a market within a span of time; no trade may mean no row.';
COMMENT ON COLUMN glass.market_candle.is_final IS 'False: the span had not ended; a later version replaces it.';
COMMENT ON COLUMN glass.market_candle.volume IS 'In coins; may grow after the end of the span, as a further version.';
COMMENT ON COLUMN glass.market_candle.vwap IS 'NULL: nothing was traded.';
""",
    "glass.fx_rate": f"""
CREATE TABLE glass.fx_rate (
    source text NOT NULL, base text NOT NULL, currency text NOT NULL, day date NOT NULL, observed_at timestamptz NOT NULL,
    rate {MONEY} NOT NULL CHECK (rate > 0), {BOOKKEEPING},
    PRIMARY KEY (source, base, currency, observed_at, version)
);
CREATE INDEX ON glass.fx_rate (observed_at);
CREATE INDEX ON glass.fx_rate (currency, observed_at);
COMMENT ON TABLE glass.fx_rate IS 'Reference rates of central banks, one a working day; none on weekends and bank holidays.';
COMMENT ON COLUMN glass.fx_rate.rate IS 'Units of currency for one unit of base.';
COMMENT ON COLUMN glass.fx_rate.observed_at IS 'When the bank took the rate; published about two hours later.';
""",
}


def upgrade() -> None:
    """Make the tables, put them under knowledge time, and grant each role the least it needs."""
    roles = role_names(op.get_bind())
    for table, statements in TABLES.items():
        op.execute(statements)
        op.execute(f"CREATE INDEX ON {table} USING brin (recorded_at) WITH (autosummarize = on)")
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {roles.writer}")
        op.execute(f"GRANT SELECT ON {table} TO {roles.reader}, {roles.agent}")
        for statement in guard_table(table):
            op.execute(statement)
