"""Revenue of protocols, their fees and revenue day by day, and of which protocol another one is a part."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names
from omc_pipeline.ledgers.knowledge import guard_table

revision = "b7001"
down_revision = "b5001"
branch_labels = None
depends_on = None

REWRITES_ROWS = True

MONEY = "numeric(38,18)"
BOOKKEEPING = """
    version integer NOT NULL CHECK (version >= 1),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    payload_sha256 text,
    row_sha256 text NOT NULL
"""
TABLES = {
    "glass.protocol_revenue": f"""
CREATE TABLE glass.protocol_revenue (
    source text NOT NULL, protocol text NOT NULL, observed_at timestamptz NOT NULL, name text NOT NULL,
    revenue_24h_usd {MONEY}, revenue_7d_usd {MONEY}, revenue_30d_usd {MONEY}, parent text, {BOOKKEEPING},
    PRIMARY KEY (source, protocol, observed_at, version)
);
COMMENT ON TABLE glass.protocol_revenue IS 'The part of the fees that a protocol keeps, over spans that end at observed_at.';
""",
    "glass.protocol_day": f"""
CREATE TABLE glass.protocol_day (
    source text NOT NULL, protocol text NOT NULL, metric text NOT NULL CHECK (metric IN ('fees', 'revenue')),
    observed_at timestamptz NOT NULL, name text NOT NULL, amount_usd {MONEY} NOT NULL, parent text, {BOOKKEEPING},
    PRIMARY KEY (source, protocol, metric, observed_at, version)
);
CREATE INDEX ON glass.protocol_day (protocol, metric, observed_at);
COMMENT ON TABLE glass.protocol_day IS 'Fees and revenue of a protocol on one day, the whole history.';
""",
}
_ISO = """to_char(observed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')"""
_AT = f"""{_ISO} || CASE WHEN observed_at = date_trunc('second', observed_at) THEN ''
    ELSE to_char(observed_at AT TIME ZONE 'UTC', '.US') END || '+00:00'"""
_CELLS = {
    "glass.protocol_tvl": (
        "protocol", _AT, "symbol", "name", "category", "trim_scale(tvl_usd)::text", "trim_scale(mcap_usd)::text", "parent",
    ),
    "glass.protocol_fees": (
        "protocol", _AT, "name", *(f"trim_scale(fees_{span}_usd)::text" for span in ("24h", "7d", "30d")), "parent",
    ),
}  # fmt: skip
"""The facts of a row as its digest has them, in the order of the row's fields."""


def upgrade() -> None:
    """Make the tables, add the column to those that there are, and digest their rows anew."""
    roles = role_names(op.get_bind())
    for table, statements in TABLES.items():
        op.execute(statements)
        op.execute(f"CREATE INDEX ON {table} (observed_at)")
        op.execute(f"CREATE INDEX ON {table} USING brin (recorded_at) WITH (autosummarize = on)")
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {roles.writer}")
        op.execute(f"GRANT SELECT ON {table} TO {roles.reader}, {roles.agent}")
        for statement in guard_table(table):
            op.execute(statement)
    for table, cells in _CELLS.items():
        joined = r" || '\x1f'::bytea || ".join(rf"coalesce(convert_to({cell}, 'UTF8'), '\x00'::bytea)" for cell in cells)
        op.execute(f"ALTER TABLE {table} ADD COLUMN parent text")
        op.execute(f"UPDATE {table} SET row_sha256 = encode(sha256({joined}), 'hex')")
