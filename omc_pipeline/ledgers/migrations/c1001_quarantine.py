"""Refused rows say how often and when they were refused last, and a person can dismiss them with a reason."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "c1001"
down_revision = "e9001"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE raw.quarantine
    ADD COLUMN refused_count bigint NOT NULL DEFAULT 1 CHECK (refused_count >= 1),
    ADD COLUMN last_refused_at timestamptz,
    ADD COLUMN dismissed_by text,
    ADD COLUMN dismissed_because text,
    ADD CHECK ((dismissed_by IS NULL) = (dismissed_because IS NULL)),
    ADD CHECK (dismissed_by IS NULL OR resolved_at IS NOT NULL);
UPDATE raw.quarantine SET last_refused_at = recorded_at;
ALTER TABLE raw.quarantine ALTER COLUMN last_refused_at SET NOT NULL, ALTER COLUMN last_refused_at SET DEFAULT clock_timestamp();
"""


def upgrade() -> None:
    """Add the columns; rows of before were refused at least once, when they were recorded."""
    op.execute(COLUMNS)
    writer = role_names(op.get_bind()).writer
    op.execute(f"GRANT UPDATE (refused_count, last_refused_at, dismissed_by, dismissed_because) ON raw.quarantine TO {writer}")
