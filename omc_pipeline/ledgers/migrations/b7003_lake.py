"""What was written to the lake: one row a place, table and day."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "b7003"
down_revision = "b7002"
branch_labels = None
depends_on = None

LAKE = """
CREATE SCHEMA lake;
COMMENT ON SCHEMA lake IS 'The ledgers as files.';
CREATE TABLE lake.export (
    place text NOT NULL, ledger text NOT NULL, table_name text NOT NULL, day date NOT NULL, rows bigint NOT NULL,
    size_bytes bigint NOT NULL, checksum text NOT NULL, is_stale boolean NOT NULL DEFAULT false,
    exported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (place, ledger, table_name, day)
);
COMMENT ON TABLE lake.export IS 'What was written to the lake: one row a place, table and day.';
COMMENT ON COLUMN lake.export.place IS 'Folder, or bucket and prefix.';
COMMENT ON COLUMN lake.export.day IS 'Day of recording, UTC.';
COMMENT ON COLUMN lake.export.checksum IS 'SHA-256 over the count of rows and the sums of all columns, of rows and file alike.';
COMMENT ON COLUMN lake.export.is_stale IS 'Rows of the table were erased since: the next export writes the day again.';
"""


def upgrade() -> None:
    """Make the table; the writer keeps it, the reader reads it."""
    roles = role_names(op.get_bind())
    op.execute(LAKE)
    op.execute(f"GRANT USAGE ON SCHEMA lake TO {roles.writer}, {roles.reader}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON lake.export TO {roles.writer}")
    op.execute(f"GRANT SELECT ON lake.export TO {roles.reader}")
