"""Who runs the platform on this database."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "j0002"
down_revision = "j0004"
branch_labels = None
depends_on = None

HOLDER = """
CREATE TABLE omc.platform_holder (
    host text NOT NULL,
    pid integer NOT NULL,
    home text NOT NULL,
    since timestamptz NOT NULL,
    backend_pid integer NOT NULL,
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
COMMENT ON TABLE omc.platform_holder IS
    'The platform that took the advisory lock last; it still runs where the server process backend_pid holds that lock.';
"""


def upgrade() -> None:
    """Make the table; the platform writes its row as the writer."""
    roles = role_names(op.get_bind())
    op.execute(HOLDER)
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON omc.platform_holder TO {roles.writer}")
    op.execute(f"GRANT SELECT ON omc.platform_holder TO {roles.reader}")
