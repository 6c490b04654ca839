"""Posts with their votes; the text of a post that was taken back can be erased, and that it was is recorded."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names
from omc_pipeline.ledgers.knowledge import guard_table
from omc_pipeline.ledgers.migrations.b2001_news_and_scores import BOOKKEEPING

revision = "b2001b"
down_revision = "b2001"
branch_labels = None
depends_on = None

TABLES = f"""
CREATE TABLE human.post (
    source text NOT NULL, post_id text NOT NULL, channel text NOT NULL, published_at timestamptz NOT NULL,
    title text NOT NULL, link text NOT NULL, text text, symbols text, removed text, {BOOKKEEPING},
    PRIMARY KEY (source, post_id, version)
);
CREATE INDEX ON human.post (published_at);
CREATE INDEX ON human.post USING brin (recorded_at) WITH (autosummarize = on);
CREATE TABLE human.post_vote (
    source text NOT NULL, post_id text NOT NULL, kind text NOT NULL, published_at timestamptz NOT NULL, votes integer NOT NULL,
    {BOOKKEEPING},
    PRIMARY KEY (source, post_id, kind, version)
);
CREATE INDEX ON human.post_vote (published_at);
CREATE TABLE human.erasure (
    erasure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL, post_id text NOT NULL, reason text NOT NULL,
    versions integer NOT NULL CHECK (versions >= 0), bodies integer NOT NULL CHECK (bodies >= 0),
    refused integer NOT NULL CHECK (refused >= 0),
    erased_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON human.erasure (source, post_id);
"""


def upgrade() -> None:
    """Make the tables, their grants and guards; the writer may change nothing of a post but its words."""
    roles = role_names(op.get_bind())
    op.execute(TABLES)
    for table in ("human.post", "human.post_vote"):
        op.execute(f"GRANT SELECT, INSERT ON {table} TO {roles.writer}")
        op.execute(f"GRANT SELECT ON {table} TO {roles.reader}")
        for statement in guard_table(table):
            op.execute(statement)
    op.execute(f"GRANT UPDATE (title, link, text, symbols, row_sha256) ON human.post TO {roles.writer}")
    op.execute(f"GRANT UPDATE (row) ON raw.quarantine TO {roles.writer}")
    op.execute(f"GRANT SELECT, INSERT ON human.erasure TO {roles.writer}")
    op.execute(f"GRANT SELECT ON human.erasure TO {roles.reader}")
