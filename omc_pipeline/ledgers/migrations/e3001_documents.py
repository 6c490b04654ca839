"""Documents of events: the words of a filing, kept as rows that agents may read."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names
from omc_pipeline.ledgers.knowledge import guard_table
from omc_pipeline.ledgers.migrations.b2001_news_and_scores import BOOKKEEPING

revision = "e3001"
down_revision = "k1001"
branch_labels = None
depends_on = None

TABLE = f"""
CREATE TABLE catalyst.document (
    source text NOT NULL, event_id text NOT NULL, name text NOT NULL, kind text NOT NULL, url text NOT NULL, state text NOT NULL,
    content text, size_bytes integer NOT NULL CHECK (size_bytes >= 0), attempt integer NOT NULL CHECK (attempt > 0),
    published_at timestamptz NOT NULL, {BOOKKEEPING},
    PRIMARY KEY (source, event_id, name, version)
);
CREATE INDEX ON catalyst.document (published_at);
CREATE INDEX ON catalyst.document USING brin (recorded_at) WITH (autosummarize = on);
"""


def upgrade() -> None:
    """Make the table, its grants and guards."""
    roles = role_names(op.get_bind())
    op.execute(TABLE)
    op.execute(f"GRANT SELECT, INSERT ON catalyst.document TO {roles.writer}")
    op.execute(f"GRANT SELECT ON catalyst.document TO {roles.reader}, {roles.agent}")
    for statement in guard_table("catalyst.document"):
        op.execute(statement)
