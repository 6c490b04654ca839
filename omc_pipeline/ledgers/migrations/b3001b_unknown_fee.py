"""A fill's fee may be unknown, and a quote is marked where its bid stands above its ask.

The digest of a row covers all its facts, so that of the quotes is computed anew.
"""

from __future__ import annotations

from alembic import op

revision = "b3001b"
down_revision = "b3001"
branch_labels = None
depends_on = None

REWRITES_ROWS = True

COLUMNS = """
ALTER TABLE exchange.fill ALTER COLUMN fee DROP NOT NULL;
COMMENT ON COLUMN exchange.fill.fee IS 'In fee_currency; null where it is unknown, which is not the same as 0.';
ALTER TABLE exchange.quote ADD COLUMN is_crossed boolean;
COMMENT ON COLUMN exchange.quote.is_crossed IS 'Whether the bid stands above the ask.';
"""
_ISO = """to_char(observed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')"""
_AT = f"""{_ISO} || CASE WHEN observed_at = date_trunc('second', observed_at) THEN ''
    ELSE to_char(observed_at AT TIME ZONE 'UTC', '.US') END || '+00:00'"""
_CELLS = ("symbol", "currency", _AT, "trim_scale(bid)::text", "trim_scale(ask)::text", "trim_scale(last)::text",
    "CASE WHEN coalesce(bid > ask, false) THEN 'True' ELSE 'False' END")  # fmt: skip


def upgrade() -> None:
    """Let fees be unknown; mark the quotes and digest them anew, in one pass over the table."""
    op.execute(COLUMNS)
    joined = r" || '\x1f'::bytea || ".join(rf"coalesce(convert_to({cell}, 'UTF8'), '\x00'::bytea)" for cell in _CELLS)
    op.execute(f"UPDATE exchange.quote SET is_crossed = coalesce(bid > ask, false), row_sha256 = encode(sha256({joined}), 'hex')")
    op.execute("ALTER TABLE exchange.quote ALTER COLUMN is_crossed SET DEFAULT false, ALTER COLUMN is_crossed SET NOT NULL")
