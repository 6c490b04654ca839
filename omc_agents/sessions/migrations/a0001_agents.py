"""Dispatch, sessions, evidence, call ledger, briefs, checkpoints."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "a0001"
down_revision = "p0001"
branch_labels = None
depends_on = None

DISPATCH = """
CREATE SCHEMA agents;
COMMENT ON SCHEMA agents IS 'What agents were asked, what they read, what they were told, and the briefs they published.';
CREATE TABLE agents.dispatch (
    source text NOT NULL,
    event_id text NOT NULL,
    batch_id uuid NOT NULL,
    dispatched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source, event_id),
    FOREIGN KEY (source, event_id) REFERENCES catalyst.outbox
);
CREATE INDEX ON agents.dispatch (batch_id);
COMMENT ON TABLE agents.dispatch IS 'The events that belong to a batch; what is missing is found by anti-join, never by a cursor.';
CREATE INDEX outbox_delay ON catalyst.outbox ((recorded_at - published_at));
COMMENT ON INDEX catalyst.outbox_delay IS 'Lets the dispatch look at fresh events only, however much history is loaded.';
"""

SESSIONS = """
CREATE TABLE agents.session (
    session_id text PRIMARY KEY,
    user_id text NOT NULL CHECK (user_id ~ '^[a-z0-9_-]{1,64}$'),
    source text NOT NULL,
    event_id text NOT NULL,
    status text NOT NULL CHECK (status IN ('queued', 'running', 'published', 'refused', 'failed')),
    model text NOT NULL,
    marker text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
    event_recorded_at timestamptz NOT NULL,
    as_of timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    detail text,
    UNIQUE (source, event_id),
    UNIQUE (session_id, user_id)
);
CREATE INDEX ON agents.session (created_at);
COMMENT ON COLUMN agents.session.as_of IS 'Knowledge time of every read of the session, set once: a resume reads the same rows.';
COMMENT ON COLUMN agents.session.failures IS 'Attempts that ended by an error of their own; a killed process counts as an attempt only.';
COMMENT ON COLUMN agents.session.marker IS 'Unguessable from outside; marks where the data of a prompt ends.';
CREATE TABLE agents.evidence (
    session_id text NOT NULL, user_id text NOT NULL, n integer NOT NULL, ref text NOT NULL, tool text NOT NULL,
    row jsonb NOT NULL, row_sha256 text NOT NULL,
    PRIMARY KEY (session_id, ref), FOREIGN KEY (session_id, user_id) REFERENCES agents.session (session_id, user_id)
);
CREATE TABLE agents.model_call (
    session_id text NOT NULL, user_id text NOT NULL, request_sha256 text NOT NULL, model text NOT NULL, question text NOT NULL,
    request jsonb NOT NULL, response jsonb NOT NULL, usage jsonb NOT NULL, recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (session_id, request_sha256), FOREIGN KEY (session_id, user_id) REFERENCES agents.session (session_id, user_id)
);
CREATE TABLE agents.brief (
    brief_id text PRIMARY KEY, session_id text NOT NULL UNIQUE, user_id text NOT NULL,
    source text NOT NULL, event_id text NOT NULL, profile text NOT NULL, title text NOT NULL, body text NOT NULL,
    dropped integer NOT NULL CHECK (dropped >= 0), event_recorded_at timestamptz NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (source, event_id), UNIQUE (brief_id, user_id),
    FOREIGN KEY (session_id, user_id) REFERENCES agents.session (session_id, user_id)
);
CREATE INDEX ON agents.brief (published_at);
COMMENT ON COLUMN agents.brief.dropped IS 'Drafted claims that no row bore.';
CREATE TABLE agents.claim (
    brief_id text NOT NULL, user_id text NOT NULL, n integer NOT NULL, text text NOT NULL, kind text NOT NULL, ref text NOT NULL,
    base_ref text, field text NOT NULL, value text NOT NULL, verified boolean NOT NULL CHECK (verified),
    PRIMARY KEY (brief_id, n), FOREIGN KEY (brief_id, user_id) REFERENCES agents.brief (brief_id, user_id)
);
"""

# The tables of langgraph-checkpoint-postgres 3.2, steps 0 to 9 of its own migrations in their final form; its `setup()` would
# want to create indexes concurrently, outside this transaction. A test compares the steps with the installed library's.
CHECKPOINTS = """
CREATE TABLE agents.checkpoint_migrations (v integer PRIMARY KEY);
INSERT INTO agents.checkpoint_migrations SELECT generate_series(0, 9);
CREATE TABLE agents.checkpoints (
    thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL, parent_checkpoint_id text,
    type text, checkpoint jsonb NOT NULL, metadata jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
);
CREATE TABLE agents.checkpoint_blobs (
    thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', channel text NOT NULL, version text NOT NULL,
    type text NOT NULL, blob bytea, PRIMARY KEY (thread_id, checkpoint_ns, channel, version)
);
CREATE TABLE agents.checkpoint_writes (
    thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL, task_id text NOT NULL,
    idx integer NOT NULL, channel text NOT NULL, type text, blob bytea NOT NULL, task_path text NOT NULL DEFAULT '',
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
);
CREATE INDEX checkpoints_thread_id_idx ON agents.checkpoints (thread_id);
CREATE INDEX checkpoint_blobs_thread_id_idx ON agents.checkpoint_blobs (thread_id);
CREATE INDEX checkpoint_writes_thread_id_idx ON agents.checkpoint_writes (thread_id);
COMMENT ON TABLE agents.checkpoints IS 'thread_id is <user>:<session>; row-level security reads the user from it.';
"""

BY_USER = "user_id = current_setting('omc.user_id', true)"
BY_THREAD = "split_part(thread_id, ':', 1) = current_setting('omc.user_id', true)"
SECURED = {
    "session": BY_USER, "evidence": BY_USER, "model_call": BY_USER, "brief": BY_USER, "claim": BY_USER,
    "checkpoints": BY_THREAD, "checkpoint_blobs": BY_THREAD, "checkpoint_writes": BY_THREAD,
}  # fmt: skip


def upgrade() -> None:
    """Make the schema; the agent role writes here and nowhere else, and sees its session's user only."""
    roles = role_names(op.get_bind())
    for statements in (DISPATCH, SESSIONS, CHECKPOINTS):
        op.execute(statements)
    op.execute(f"GRANT USAGE ON SCHEMA agents TO {roles.agent}, {roles.reader}")
    op.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA agents TO {roles.agent}, {roles.reader}")
    op.execute(
        f"GRANT INSERT ON agents.dispatch, agents.session, agents.evidence, agents.model_call, agents.brief, agents.claim TO {roles.agent}"
    )
    op.execute(f"GRANT UPDATE (status, attempts, failures, started_at, finished_at, detail) ON agents.session TO {roles.agent}")
    op.execute(f"GRANT INSERT, UPDATE, DELETE ON agents.checkpoints, agents.checkpoint_blobs, agents.checkpoint_writes TO {roles.agent}")
    for table, own in SECURED.items():
        op.execute(f"ALTER TABLE agents.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE agents.{table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY all_users ON agents.{table} TO {roles.owner}, {roles.reader} USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY own_rows ON agents.{table} TO {roles.agent} USING ({own}) WITH CHECK ({own})")
