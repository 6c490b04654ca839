"""An open quarantine row names the newest body that it was refused from."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "m2004b"
down_revision = "m2004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let who collects set the body of a row that is refused again."""
    op.execute(f"GRANT UPDATE (payload_sha256) ON raw.quarantine TO {role_names(op.get_bind()).writer}")
