"""A session is of a user, a trigger and a subject: events as before, and questions; it can wait for a person, and be cancelled."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "e5001"
down_revision = "e4001"
branch_labels = None
depends_on = None

_STATUSES = "'queued', 'running', 'waiting', 'published', 'inconclusive', 'refused', 'failed', 'cancelled'"
_KEY = "source, event_id, user_id, subscription"

SESSIONS = f"""
ALTER TABLE agents.session ADD COLUMN trigger text NOT NULL DEFAULT 'event' CHECK (trigger IN ('event', 'question', 'schedule', 'alert'));
ALTER TABLE agents.session ADD COLUMN subscription text NOT NULL DEFAULT '';
ALTER TABLE agents.session ADD COLUMN question text;
ALTER TABLE agents.session ADD COLUMN plan jsonb;
ALTER TABLE agents.session ADD COLUMN answers text[] NOT NULL DEFAULT '{{}}';
ALTER TABLE agents.session ADD COLUMN approved_usd numeric(18, 9) NOT NULL DEFAULT 0 CHECK (approved_usd >= 0);
ALTER TABLE agents.session ADD COLUMN waiting_for text CHECK (waiting_for IN ('answer', 'approval', 'resume'));
ALTER TABLE agents.session ADD COLUMN prompt text;
ALTER TABLE agents.session ADD COLUMN step text;
ALTER TABLE agents.session ALTER COLUMN source DROP NOT NULL, ALTER COLUMN event_id DROP NOT NULL;
ALTER TABLE agents.session ADD CHECK ((trigger = 'event') = (event_id IS NOT NULL AND source IS NOT NULL));
ALTER TABLE agents.session ADD CHECK ((trigger = 'question') = (question IS NOT NULL));
ALTER TABLE agents.session ADD CHECK ((status = 'waiting') = (waiting_for IS NOT NULL));
ALTER TABLE agents.session DROP CONSTRAINT session_status_check;
ALTER TABLE agents.session ADD CONSTRAINT session_status_check CHECK (status IN ({_STATUSES}));
ALTER TABLE agents.session DROP CONSTRAINT session_source_event_id_key;
CREATE UNIQUE INDEX session_of_event ON agents.session ({_KEY}) WHERE trigger = 'event';
ALTER TABLE agents.brief ALTER COLUMN source DROP NOT NULL, ALTER COLUMN event_id DROP NOT NULL;
ALTER TABLE agents.brief DROP CONSTRAINT brief_source_event_id_key;
CREATE INDEX brief_of_event ON agents.brief (source, event_id);
ALTER TABLE agents.dispatch ADD COLUMN user_id text NOT NULL DEFAULT 'system';
ALTER TABLE agents.dispatch ADD COLUMN subscription text NOT NULL DEFAULT '';
ALTER TABLE agents.dispatch DROP CONSTRAINT dispatch_pkey, ADD PRIMARY KEY ({_KEY});
"""

FINISHED = """
CREATE FUNCTION agents.is_finished(status text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT status IN ('published', 'inconclusive', 'refused', 'failed', 'cancelled')
$$;
COMMENT ON FUNCTION agents.is_finished IS 'Whether nothing more happens to a session of this status.';
"""
_THREADS = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


def upgrade() -> None:
    """Widen the tables; each session that is there stays what it was: one of an event."""
    roles = role_names(op.get_bind())
    op.execute(SESSIONS)
    op.execute(FINISHED)
    op.execute(f"GRANT UPDATE (waiting_for, prompt, step, plan) ON agents.session TO {roles.agent}")
    op.execute(f"GRANT INSERT (trigger, question, subscription) ON agents.session TO {roles.writer}")
    op.execute(f"GRANT UPDATE (answers, approved_usd, waiting_for, prompt, failures) ON agents.session TO {roles.writer}")
    _follow_new_statuses()


def _follow_new_statuses() -> None:
    """Have the policies of tidying count every status that ends a session."""
    finished = "EXISTS (SELECT FROM agents.session WHERE session.session_id = %s AND agents.is_finished(session.status))"
    op.execute(f"ALTER POLICY emptied_when_finished ON agents.model_call USING ({finished % 'model_call.session_id'})")
    for table in _THREADS:
        session = f"split_part({table}.thread_id, ':', 2)"
        op.execute(f"ALTER POLICY removed_when_finished ON agents.{table} USING ({finished % session})")
