"""Alembic revisions of the pipeline's schemas: raw, the four ledgers, quality, pnl."""
