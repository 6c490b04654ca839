"""The agent role is bound to a user by the secret token of a session, and opens no session itself."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from omc_infra.postgres.roles import role_names

revision = "j0005b"
down_revision = "j0005"
branch_labels = None
depends_on = None

TOKENS = """
CREATE TABLE agents.session_token (
    token_sha256 bytea PRIMARY KEY CHECK (length(token_sha256) = 32),
    session_id text NOT NULL,
    user_id text NOT NULL,
    issued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    FOREIGN KEY (session_id, user_id) REFERENCES agents.session (session_id, user_id) ON DELETE CASCADE
);
CREATE INDEX ON agents.session_token (expires_at);
CREATE INDEX ON agents.session_token (session_id, user_id);
COMMENT ON TABLE agents.session_token IS 'Which user a secret token stands for; nobody reads it but agents.bound_user().';

CREATE FUNCTION agents.bound_user() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT user_id FROM agents.session_token
            WHERE token_sha256 = sha256(convert_to(current_setting('omc.session_token', true), 'UTF8'))
            AND expires_at > clock_timestamp());
END
$$;
COMMENT ON FUNCTION agents.bound_user() IS 'The user of the token in omc.session_token, or NULL: unknown, expired, none.';

CREATE FUNCTION agents.forget_expired_tokens() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM agents.session_token WHERE expires_at < clock_timestamp();
$$;
"""
OLD, NEW = "current_setting('omc.user_id'::text, true)", "(SELECT agents.bound_user())"
_POLICIES = """
SELECT format('%I.%I', p.schemaname, p.tablename) AS relation, quote_ident(p.policyname) AS policy, p.qual, p.with_check
FROM pg_policies AS p WHERE coalesce(p.qual, '') || coalesce(p.with_check, '') LIKE '%omc.user_id%' ORDER BY 1, 2
"""
_FINISHED = "status IN ('published', 'refused', 'failed')"
_THREADS = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


def upgrade() -> None:
    """Make the tokens, bind every policy to them, and let the writer alone open, end and tidy sessions."""
    roles = role_names(op.get_bind())
    op.execute(text(TOKENS.replace(":", r"\:")))
    op.execute("REVOKE ALL ON FUNCTION agents.bound_user(), agents.forget_expired_tokens() FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION agents.bound_user() TO {roles.agent}")
    _bind_policies()
    op.execute(f"REVOKE INSERT ON agents.dispatch, agents.session FROM {roles.agent}")
    _let_dispatch(roles.writer)
    op.execute(f"REVOKE UPDATE (request, response) ON agents.model_call FROM {roles.agent}")
    op.execute("DROP POLICY emptied_when_finished ON agents.model_call")
    _let_tidy(roles.writer)


def _bind_policies() -> None:
    """Replace the user id that a session could set itself by the user of its token, wherever a policy reads it."""
    for relation, policy, qual, check in op.get_bind().execute(text(_POLICIES)).all():
        parts = [f"USING ({qual.replace(OLD, NEW)})"] if qual else []
        parts += [f"WITH CHECK ({check.replace(OLD, NEW)})"] if check else []
        op.execute(text(f"ALTER POLICY {policy} ON {relation} {' '.join(parts)}".replace(":", r"\:")))


def _let_dispatch(writer: str) -> None:
    columns = "session_id, user_id, source, event_id, status, model, event_recorded_at, as_of"
    op.execute(f"GRANT USAGE ON SCHEMA agents TO {writer}")
    op.execute(f"GRANT SELECT, INSERT ON agents.dispatch TO {writer}")
    op.execute(f"GRANT SELECT, INSERT ({columns}) ON agents.session TO {writer}")
    op.execute(f"GRANT UPDATE (status, detail, finished_at) ON agents.session TO {writer}")
    op.execute(f"GRANT INSERT (token_sha256, session_id, user_id, expires_at) ON agents.session_token TO {writer}")
    op.execute(f"GRANT EXECUTE ON FUNCTION agents.forget_expired_tokens() TO {writer}")
    op.execute(f"CREATE POLICY dispatch ON agents.session TO {writer} USING (true) WITH CHECK (true)")


def _let_tidy(writer: str) -> None:
    """Let the writer remove checkpoints and empty the texts of model calls, of finished sessions only."""
    op.execute(f"GRANT SELECT (session_id, user_id, request, response), UPDATE (request, response) ON agents.model_call TO {writer}")
    finished = f"EXISTS (SELECT FROM agents.session WHERE session.session_id = %s AND session.{_FINISHED})"
    op.execute(
        f"CREATE POLICY emptied_when_finished ON agents.model_call TO {writer} USING ({finished % 'model_call.session_id'})"
        " WITH CHECK (request IS NULL AND response IS NULL)"
    )
    for table in _THREADS:
        session = f"split_part({table}.thread_id, ':', 2)"
        op.execute(f"GRANT SELECT (thread_id), DELETE ON agents.{table} TO {writer}")
        op.execute(f"CREATE POLICY removed_when_finished ON agents.{table} TO {writer} USING ({finished % session}) WITH CHECK (false)")
