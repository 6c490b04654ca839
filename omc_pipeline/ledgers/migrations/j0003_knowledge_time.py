"""Knowledge time that can't change its answer: a writers' lock and a watermark for every table that is read as of a time."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names
from omc_pipeline.ledgers.knowledge import guard_table

revision = "j0003"
down_revision = "j0009"
branch_labels = None
depends_on = None

GUARDED = (
    "catalyst.event", "exchange.balance", "exchange.fill", "exchange.quote", "glass.coin_price", "glass.protocol_fees",
    "glass.protocol_tvl", "human.sentiment", "quality.check_result", "quality.score", "raw.quarantine",
)  # fmt: skip

WATERMARKS = """
CREATE TABLE omc.knowledge (
    table_name text PRIMARY KEY,
    closed_at timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE omc.knowledge IS 'Up to when each table is complete: rows recorded by then are committed, later rows get a later time.';
"""

# The lock comes first, in a statement of its own: what the stamp must exceed is read after the wait for it.
STAMP = """
CREATE FUNCTION omc.stamp(name text) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE stamped timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('omc.append ' || name, 0));
    INSERT INTO omc.knowledge AS known (table_name, closed_at) VALUES (name, clock_timestamp())
    ON CONFLICT (table_name) DO UPDATE SET closed_at = greatest(known.closed_at + interval '1 microsecond', clock_timestamp())
    RETURNING closed_at INTO stamped;
    RETURN stamped;
END $$;
COMMENT ON FUNCTION omc.stamp IS 'Take the writers'' lock of a table until the transaction ends; return the recorded_at of its rows.';
CREATE FUNCTION omc.hold_writers_lock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('omc.append ' || TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, 0));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION omc.hold_writers_lock IS 'Make an insert that did not ask for a stamp visible to the readers who wait for writers.';
"""


def upgrade() -> None:
    """Make the watermarks and guard the tables there are; no row of theirs is touched."""
    roles = role_names(op.get_bind())
    op.execute(WATERMARKS)
    op.execute(STAMP)
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON omc.knowledge TO {roles.writer}")
    op.execute(f"REVOKE EXECUTE ON FUNCTION omc.stamp FROM PUBLIC; GRANT EXECUTE ON FUNCTION omc.stamp TO {roles.writer}")
    op.execute(f"GRANT SELECT ON omc.knowledge TO {roles.reader}, {roles.agent}")
    for table in GUARDED:
        for statement in guard_table(table):
            op.execute(statement)
