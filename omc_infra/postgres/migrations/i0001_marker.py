"""The profile's marker, and Dagster's schema."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.roles import role_names

revision = "i0001"
down_revision = None
branch_labels = None
depends_on = None

MARKER = """
COMMENT ON SCHEMA omc IS 'What the platform knows of itself.';
CREATE TABLE omc.marker (
    profile text NOT NULL CHECK (profile IN ('sandbox', 'live')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
COMMENT ON TABLE omc.marker IS 'Whose rows this database holds; a process of the other profile refuses to start.';
"""

DAGSTER = """
CREATE SCHEMA dagster;
COMMENT ON SCHEMA dagster IS 'Runs, events and schedules; the tables are made by Dagster itself, as the writer.';
"""


def upgrade() -> None:
    """Make both; the profile comes from whoever migrates."""
    config = op.get_context().config
    if config is None:
        raise ConfigurationError("the marker needs a profile; migrate by `omc db migrate`")
    roles = role_names(op.get_bind())
    op.execute(MARKER)
    op.execute(text("INSERT INTO omc.marker (profile) VALUES (:profile)").bindparams(profile=config.attributes["profile"]))
    op.execute(DAGSTER)
    op.execute(f"GRANT USAGE ON SCHEMA omc TO {roles.writer}, {roles.reader}, {roles.agent}")
    op.execute(f"GRANT SELECT ON omc.marker, omc.alembic_version TO {roles.writer}, {roles.reader}, {roles.agent}")
    op.execute(f"GRANT USAGE, CREATE ON SCHEMA dagster TO {roles.writer}")
