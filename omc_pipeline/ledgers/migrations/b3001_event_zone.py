"""A catalyst says in which zone its time was written, and how much it may move a price.

Filings that stand were read as UTC whatever their file's zone, so theirs is undecided; the feed may still correct a fresh one. The
digest of a row covers all its facts, so it is computed anew; else the next collection would take every filing for a changed one.
"""

from __future__ import annotations

from alembic import op

revision = "b3001"
down_revision = "m2004b"
branch_labels = None
depends_on = None

REWRITES_ROWS = True

_FIELDS = "event_id event_type symbol ticker issuer title form items url filed_on published_at published_zone impact"
COLUMNS = """
ALTER TABLE catalyst.event ADD COLUMN published_zone text
    CONSTRAINT event_zone CHECK (published_zone IN ('utc', 'eastern', 'offset', 'undecided'));
ALTER TABLE catalyst.event ADD COLUMN impact integer CONSTRAINT event_impact CHECK (impact BETWEEN 1 AND 10);
COMMENT ON COLUMN catalyst.event.published_zone IS
    'Zone of a written time that does not tell its own; undecided: read as UTC. Null where the source writes true times.';
COMMENT ON COLUMN catalyst.event.impact IS 'From 1 (nobody trades on it) to 10, by the rules of the source.';
UPDATE catalyst.event SET published_zone = 'undecided' WHERE event_type = 'filing';
"""


def _cell(column: str) -> str:
    """Write a value as ``omc_pipeline.ledgers.table.row_digest`` does: microseconds only where there are some."""
    if column == "published_at":
        iso = """to_char(published_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')"""
        is_whole = "published_at = date_trunc('second', published_at)"
        return f"""{iso} || CASE WHEN {is_whole} THEN '' ELSE to_char(published_at AT TIME ZONE 'UTC', '.US') END || '+00:00'"""
    return {"filed_on": "to_char(filed_on, 'YYYY-MM-DD')", "impact": "impact::text"}.get(column, column)


def upgrade() -> None:
    """Add the columns, mark the filings, and digest the rows anew."""
    op.execute(COLUMNS)
    cells = (rf"coalesce(convert_to({_cell(column)}, 'UTF8'), '\x00'::bytea)" for column in _FIELDS.split())
    joined = r" || '\x1f'::bytea || ".join(cells)
    op.execute(f"UPDATE catalyst.event SET row_sha256 = encode(sha256({joined}), 'hex')")
