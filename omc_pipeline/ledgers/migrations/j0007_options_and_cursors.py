"""Options that were in force when a body was fetched, and how far derived sources have read their input."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "j0007"
down_revision = "j0005b"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE raw.options (
    source text NOT NULL,
    sha256 text NOT NULL,
    document jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, sha256)
);
COMMENT ON TABLE raw.options IS 'Options of a source by digest; it stands in the context of each fetch, and a replay parses with them.';
CREATE TABLE raw.cursor (
    source text NOT NULL,
    endpoint text NOT NULL,
    options_sha256 text NOT NULL,
    recorded_until timestamptz NOT NULL,
    PRIMARY KEY (source, endpoint)
);
COMMENT ON TABLE raw.cursor IS 'Up to which recorded_at a derived endpoint has read its input.';
"""
INPUTS = ("glass.protocol_tvl", "glass.protocol_fees", "glass.coin_price", "human.sentiment", "catalyst.event", "exchange.quote")


def upgrade() -> None:
    """Make the tables, and an index by which a derived source finds the rows recorded since it last looked."""
    roles = role_names(op.get_bind())
    op.execute(TABLES)
    for table in INPUTS:
        op.execute(f"CREATE INDEX ON {table} USING brin (recorded_at) WITH (autosummarize = on)")
    op.execute(f"GRANT SELECT, INSERT ON raw.options, raw.cursor TO {roles.writer}")
    op.execute(f"GRANT UPDATE ON raw.cursor TO {roles.writer}")
    op.execute(f"GRANT SELECT ON raw.options, raw.cursor TO {roles.reader}")
