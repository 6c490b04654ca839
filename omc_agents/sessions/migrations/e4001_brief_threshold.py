"""A brief keeps the quality threshold and the remarks it was written with, so that it can be written again to the letter."""

from __future__ import annotations

from alembic import op

revision = "e4001"
down_revision = "e3001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both; earlier briefs have none."""
    op.execute("ALTER TABLE agents.brief ADD COLUMN IF NOT EXISTS alert_threshold double precision")
    op.execute("ALTER TABLE agents.brief ADD COLUMN IF NOT EXISTS remarks text[]")
