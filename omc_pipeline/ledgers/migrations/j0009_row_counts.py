"""Rows an hour by source and table; the writer may let go of old outcomes of checks."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "j0009"
down_revision = "m0003"
branch_labels = None
depends_on = None

COUNTS = """
CREATE TABLE quality.row_count (
    source text NOT NULL, table_name text NOT NULL, hour timestamptz NOT NULL,
    rows bigint NOT NULL CHECK (rows >= 0), counted_at timestamptz NOT NULL,
    PRIMARY KEY (source, table_name, hour)
);
COMMENT ON TABLE quality.row_count IS 'Facts an hour by the clock of the table, counted when the hour had closed.';
CREATE INDEX check_result_recorded ON quality.check_result (recorded_at);
"""


def upgrade() -> None:
    """Make the table and its grants."""
    roles = role_names(op.get_bind())
    op.execute(COUNTS)
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON quality.row_count TO {roles.writer}")
    op.execute(f"GRANT SELECT ON quality.row_count TO {roles.reader}")
    op.execute(f"GRANT SELECT, DELETE ON quality.check_result TO {roles.writer}")
