"""Subscriptions of users to events, what a cool-down holds back, and sessions that a schedule or an alert begins."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "e7001"
down_revision = "c1001"
branch_labels = None
depends_on = None

SUBSCRIPTIONS = """
CREATE TABLE agents.subscription (
    subscription_id text PRIMARY KEY CHECK (subscription_id ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    user_id text NOT NULL CHECK (user_id ~ '^[a-z0-9_-]{1,64}$'),
    symbols text[] NOT NULL DEFAULT '{}',
    event_types text[] NOT NULL DEFAULT '{}',
    least_impact integer CHECK (least_impact BETWEEN 1 AND 10),
    model text NOT NULL DEFAULT '',
    channels text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed_at timestamptz
);
CREATE INDEX ON agents.subscription (user_id);
CREATE TABLE agents.held_event (
    source text NOT NULL,
    event_id text NOT NULL,
    user_id text NOT NULL,
    subscription text NOT NULL REFERENCES agents.subscription,
    symbol text NOT NULL,
    held_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_at timestamptz,
    PRIMARY KEY (source, event_id, user_id, subscription),
    FOREIGN KEY (source, event_id) REFERENCES catalyst.outbox
);
CREATE INDEX held_event_waiting ON agents.held_event (subscription, symbol) WHERE released_at IS NULL;
"""
DISPATCH = """
ALTER TABLE agents.dispatch ADD COLUMN symbol text, ADD COLUMN digest_id uuid;
CREATE INDEX dispatch_of_symbol ON agents.dispatch (subscription, symbol, dispatched_at) WHERE subscription <> '';
CREATE INDEX dispatch_of_digest ON agents.dispatch (digest_id) WHERE digest_id IS NOT NULL;
"""
SESSIONS = """
ALTER TABLE agents.session ADD COLUMN batch_id uuid, ADD COLUMN subject text, ADD COLUMN announced_at timestamptz;
ALTER TABLE agents.session ADD CHECK ((trigger IN ('schedule', 'alert')) = (subject IS NOT NULL AND batch_id IS NOT NULL));
CREATE UNIQUE INDEX session_of_occasion ON agents.session (trigger, subject, user_id, subscription) WHERE subject IS NOT NULL;
CREATE INDEX session_of_batch ON agents.session (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX session_unannounced ON agents.session (created_at)
    WHERE announced_at IS NULL AND (subscription <> '' OR subject IS NOT NULL);
"""
MESSAGES = """
ALTER TABLE omc.message ADD COLUMN user_id text;
CREATE INDEX message_of_user ON omc.message (user_id) WHERE user_id IS NOT NULL;
"""
_JUDGED = "run_id, ledger, source, name, dimension, severity, passed, score, rows, recorded_at"
"""What a brief about an alert reads of a check: no text from outside."""


def upgrade() -> None:
    """Make the tables; the writer keeps them and hands finished briefs to delivery, the reader shows them."""
    roles = role_names(op.get_bind())
    for statements in (SUBSCRIPTIONS, DISPATCH, SESSIONS, MESSAGES):
        op.execute(statements)
    op.execute(f"GRANT SELECT ON agents.subscription, agents.held_event TO {roles.reader}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE (removed_at) ON agents.subscription TO {roles.writer}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE (released_at) ON agents.held_event TO {roles.writer}")
    op.execute(f"GRANT INSERT (batch_id, subject, plan), UPDATE (announced_at) ON agents.session TO {roles.writer}")
    op.execute(f"GRANT SELECT (session_id, title, body, profile, published_at) ON agents.brief TO {roles.writer}")
    op.execute(f"GRANT SELECT ({_JUDGED}) ON quality.check_result TO {roles.agent}")
    op.execute(f"CREATE POLICY announced ON agents.brief FOR SELECT TO {roles.writer} USING (true)")
