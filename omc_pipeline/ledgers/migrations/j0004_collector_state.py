"""The state of collectors: configured, paused, last success and failure, next allowed time."""

from __future__ import annotations

from alembic import op

from omc_infra.postgres.roles import role_names

revision = "j0004"
down_revision = "j0001b"
branch_labels = None
depends_on = None

STATE = """
CREATE SCHEMA collection;
COMMENT ON SCHEMA collection IS 'How collecting goes.';
CREATE TABLE collection.state (
    source text NOT NULL, endpoint text NOT NULL DEFAULT '', account_id text NOT NULL DEFAULT '',
    is_configured boolean, not_configured_reason text,
    paused_at timestamptz, paused_by text, paused_until timestamptz, pause_reason text,
    last_success_at timestamptz, last_rows bigint, rows bigint NOT NULL DEFAULT 0,
    last_failure_at timestamptz, failure_class text, failure_message text, is_retryable boolean,
    consecutive_failures integer NOT NULL DEFAULT 0, permanent_failures integer NOT NULL DEFAULT 0,
    next_allowed_at timestamptz, recent_s real[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (source, endpoint, account_id),
    CHECK ((paused_at IS NULL) = (paused_by IS NULL)),
    CHECK (paused_at IS NOT NULL OR (paused_until IS NULL AND pause_reason IS NULL))
);
COMMENT ON TABLE collection.state IS 'One row a source, endpoint and account; an empty endpoint or account stands for all of them.';
COMMENT ON COLUMN collection.state.is_configured IS 'NULL: never asked.';
COMMENT ON COLUMN collection.state.paused_until IS 'NULL while paused_at is set: until somebody resumes it.';
COMMENT ON COLUMN collection.state.permanent_failures IS 'Permanent failures since the last success.';
COMMENT ON COLUMN collection.state.recent_s IS 'Seconds that the most recent successful collections took, oldest first.';
"""


def upgrade() -> None:
    """Make the table; the writer keeps it, the reader reads it."""
    roles = role_names(op.get_bind())
    op.execute(STATE)
    op.execute(f"GRANT USAGE ON SCHEMA collection TO {roles.writer}, {roles.reader}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON collection.state TO {roles.writer}")
    op.execute(f"GRANT SELECT ON collection.state TO {roles.reader}")
