"""A server for MCP clients reads under a session of its own, so that row-level security holds it to its user."""

from __future__ import annotations

from alembic import op

revision = "e9001"
down_revision = "n1001"
branch_labels = None
depends_on = None

_TRIGGERS = "'event', 'question', 'schedule', 'alert', 'mcp'"


def upgrade() -> None:
    """Allow one more trigger."""
    op.execute("ALTER TABLE agents.session DROP CONSTRAINT session_trigger_check")
    op.execute(f"ALTER TABLE agents.session ADD CONSTRAINT session_trigger_check CHECK (trigger IN ({_TRIGGERS}))")
