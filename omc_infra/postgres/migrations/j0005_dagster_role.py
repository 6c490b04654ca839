"""Dagster's tables belong to a role of their own."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "j0005"
down_revision = "j0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give schema ``dagster`` to its role; tables that the writer made were handed over by the administrator before."""
    roles = role_names(op.get_bind())
    op.execute(f"REVOKE ALL ON SCHEMA dagster FROM {roles.writer}")
    op.execute(f"GRANT USAGE, CREATE ON SCHEMA dagster TO {roles.dagster}")
    op.execute("COMMENT ON SCHEMA dagster IS 'Runs, events and schedules; the tables are made by Dagster itself, as role dagster.'")
    op.execute(f"GRANT USAGE ON SCHEMA omc TO {roles.dagster}")
    op.execute(f"GRANT SELECT ON omc.marker, omc.alembic_version TO {roles.dagster}")
