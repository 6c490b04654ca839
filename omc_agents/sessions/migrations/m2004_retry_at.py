"""A session whose model asked for a wait is not tried again before it."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "m2004"
down_revision = "j0008c"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the time before which a session must not be tried; its worker sets it."""
    op.execute("ALTER TABLE agents.session ADD COLUMN retry_at timestamptz")
    op.execute("COMMENT ON COLUMN agents.session.retry_at IS 'Before this time its model does not want to be asked; null: no wait.'")
    op.execute(f"GRANT UPDATE (retry_at) ON agents.session TO {role_names(op.get_bind()).agent}")
