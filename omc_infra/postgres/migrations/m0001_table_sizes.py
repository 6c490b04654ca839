"""How large each table was, day by day."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "m0001"
down_revision = "a0001"
branch_labels = None
depends_on = None

SIZES = """
CREATE TABLE omc.table_size (
    measured_at timestamptz NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    rows bigint NOT NULL CHECK (rows >= 0),
    is_exact boolean NOT NULL,
    PRIMARY KEY (measured_at, schema_name, table_name)
);
COMMENT ON TABLE omc.table_size IS 'Size with indexes and rows of every table, one measurement a day.';
COMMENT ON COLUMN omc.table_size.is_exact IS 'Whether rows were counted; of a large table they are the planner''s estimate.';
"""


def upgrade() -> None:
    """Make the table; the writer adds to it, the reader compares."""
    roles = role_names(op.get_bind())
    op.execute(SIZES)
    op.execute(f"GRANT SELECT, INSERT ON omc.table_size TO {roles.writer}")
    op.execute(f"GRANT SELECT ON omc.table_size TO {roles.reader}")
