"""News items, and the sentiment of single titles."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names
from omc_pipeline.ledgers.knowledge import guard_table

revision = "b2001"
down_revision = "b3001b"
branch_labels = None
depends_on = None

BOOKKEEPING = """
    version integer NOT NULL CHECK (version > 0), recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    payload_sha256 text, row_sha256 text NOT NULL
"""
TABLES = f"""
CREATE TABLE human.news (
    source text NOT NULL, feed text NOT NULL, guid text NOT NULL, published_at timestamptz NOT NULL,
    title text NOT NULL, link text NOT NULL, summary text, updated_at timestamptz, {BOOKKEEPING},
    PRIMARY KEY (source, feed, guid, published_at, version)
);
CREATE INDEX ON human.news (published_at);
CREATE INDEX ON human.news USING brin (recorded_at) WITH (autosummarize = on);
CREATE TABLE human.title_score (
    source text NOT NULL, title_source text NOT NULL, channel text NOT NULL, item_id text NOT NULL, published_at timestamptz NOT NULL,
    symbols text NOT NULL, score numeric(38,18) NOT NULL CHECK (score BETWEEN -1 AND 1), label text NOT NULL, model text NOT NULL,
    {BOOKKEEPING},
    PRIMARY KEY (source, title_source, channel, item_id, published_at, version)
);
CREATE INDEX ON human.title_score (published_at);
"""


def upgrade() -> None:
    """Make the tables, their grants and guards."""
    roles = role_names(op.get_bind())
    op.execute(TABLES)
    for table in ("human.news", "human.title_score"):
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {roles.writer}")
        op.execute(f"GRANT SELECT ON {table} TO {roles.reader}")
        for statement in guard_table(table):
            op.execute(statement)
