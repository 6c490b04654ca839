"""What was seeded into a sandbox home, and with which seed."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "b6003"
down_revision = "b6002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the record; it stays empty in a live home."""
    roles = role_names(op.get_bind())
    op.execute("CREATE TABLE omc.seeding (what text PRIMARY KEY, seed bigint NOT NULL, until timestamptz NOT NULL)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON omc.seeding TO {roles.writer}")
    op.execute(f"GRANT SELECT ON omc.seeding TO {roles.reader}")
