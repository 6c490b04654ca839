"""Blocks of chains that count neither gas nor, in the answer that is asked for, transactions."""

from __future__ import annotations

from alembic import op

revision = "b7002"
down_revision = "b7001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let what such chains don't have be missing."""
    columns = ("gas_used", "gas_limit", "transactions")
    op.execute(f"ALTER TABLE glass.chain_block {', '.join(f'ALTER COLUMN {name} DROP NOT NULL' for name in columns)}")
