"""Each call of a model is reserved with its worst cost before it is made, and settled after; caps hold over all processes."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from omc_infra.postgres.roles import role_names

revision = "e2001"
down_revision = "b6004"
branch_labels = None
depends_on = None

SPEND = """
CREATE TABLE agents.model_spend (
    call_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id text NOT NULL,
    user_id text NOT NULL,
    step text NOT NULL,
    request_sha256 text NOT NULL,
    attempt integer NOT NULL CHECK (attempt > 0),
    model text NOT NULL,
    prices_of date,
    state text NOT NULL DEFAULT 'reserved' CHECK (state IN ('reserved', 'settled', 'failed', 'unknown')),
    reserved_usd numeric(18, 9) NOT NULL CHECK (reserved_usd >= 0),
    cost_usd numeric(18, 9) CHECK (cost_usd >= 0),
    counted_usd numeric(18, 9) NOT NULL GENERATED ALWAYS AS (coalesce(cost_usd, reserved_usd)) STORED,
    usage jsonb,
    provider_request text,
    failure text,
    reserved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at timestamptz,
    UNIQUE (session_id, step, request_sha256, attempt),
    CHECK ((cost_usd IS NOT NULL) = (state IN ('settled', 'failed'))),
    FOREIGN KEY (session_id, user_id) REFERENCES agents.session (session_id, user_id)
);
CREATE UNIQUE INDEX model_spend_open ON agents.model_spend (session_id, step, request_sha256) WHERE state = 'reserved';
CREATE INDEX model_spend_day ON agents.model_spend (reserved_at);
CREATE INDEX model_spend_user_day ON agents.model_spend (user_id, reserved_at);
"""

# Reservations are made one after the other over all processes, so that two can't share what is left below a cap. A reservation found
# open is one whose maker is gone: a session is worked by one process at a time. It counts as spent, and is made once more.
RESERVE = """
CREATE FUNCTION agents.reserve_call(
    of_session text, of_step text, of_request text, asked text, priced date, worst_usd numeric,
    most_call numeric, most_calls integer, most_session numeric, most_user_day numeric, most_platform_day numeric,
    OUT reserved bigint, OUT refusal text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bound text := agents.bound_user();
    day_start timestamptz := date_trunc('day', clock_timestamp(), 'UTC');
    unknown_ones integer;
    done record;
BEGIN
    IF bound IS NULL OR NOT EXISTS (SELECT FROM agents.session WHERE session_id = of_session AND user_id = bound) THEN
        RAISE insufficient_privilege USING MESSAGE = 'no such session of the bound user';
    END IF;
    PERFORM pg_advisory_xact_lock(7308341301337186);
    UPDATE agents.model_spend SET state = 'unknown', settled_at = clock_timestamp(), failure = 'ended before the answer was recorded'
    WHERE session_id = of_session AND step = of_step AND request_sha256 = of_request AND state = 'reserved';
    SELECT count(*) INTO unknown_ones FROM agents.model_spend
    WHERE session_id = of_session AND step = of_step AND request_sha256 = of_request AND model = asked AND state = 'unknown';
    SELECT count(*) AS calls, coalesce(sum(counted_usd), 0) AS usd,
        coalesce(max(attempt) FILTER (WHERE step = of_step AND request_sha256 = of_request), 0) AS attempts
    INTO done FROM agents.model_spend WHERE session_id = of_session;
    IF unknown_ones >= 2 AND worst_usd > 0 THEN
        refusal := 'outcome';
    ELSIF worst_usd > most_call THEN
        refusal := 'call';
    ELSIF done.calls >= most_calls THEN
        refusal := 'session_calls';
    ELSIF done.usd + worst_usd > most_session THEN
        refusal := 'session';
    ELSIF worst_usd > 0 AND worst_usd + (SELECT coalesce(sum(counted_usd), 0) FROM agents.model_spend
            WHERE user_id = bound AND reserved_at >= day_start) > most_user_day THEN
        refusal := 'user_day';
    ELSIF worst_usd > 0 AND worst_usd + (SELECT coalesce(sum(counted_usd), 0) FROM agents.model_spend
            WHERE reserved_at >= day_start) > most_platform_day THEN
        refusal := 'platform_day';
    ELSE
        INSERT INTO agents.model_spend (session_id, user_id, step, request_sha256, attempt, model, prices_of, reserved_usd)
        VALUES (of_session, bound, of_step, of_request, done.attempts + 1, asked, priced, worst_usd)
        RETURNING call_id INTO reserved;
    END IF;
END
$$;
COMMENT ON FUNCTION agents.reserve_call IS 'Reserves the worst cost of a call, or names the cap that it would pass.';
"""

SETTLE = """
CREATE FUNCTION agents.settle_call(of_call bigint, outcome text, spent_usd numeric, used jsonb, request text, reason text) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE agents.model_spend SET state = outcome, cost_usd = spent_usd, usage = used, provider_request = request, failure = reason,
        settled_at = clock_timestamp()
    WHERE call_id = of_call AND state = 'reserved' AND user_id = agents.bound_user() RETURNING true;
$$;
COMMENT ON FUNCTION agents.settle_call IS 'Closes a reservation of the bound user: settled, failed (nothing was spent) or unknown.';
"""


def upgrade() -> None:
    """Make the table and the two functions through which alone it is written."""
    roles = role_names(op.get_bind())
    for statements in (SPEND, RESERVE, SETTLE):
        op.execute(text(statements.replace(":", r"\:")))
    op.execute(
        "REVOKE ALL ON FUNCTION agents.reserve_call(text, text, text, text, date, numeric, numeric, integer, numeric, numeric, numeric),"
        " agents.settle_call(bigint, text, numeric, jsonb, text, text) FROM PUBLIC"
    )
    op.execute(
        "GRANT EXECUTE ON FUNCTION"
        " agents.reserve_call(text, text, text, text, date, numeric, numeric, integer, numeric, numeric, numeric),"
        f" agents.settle_call(bigint, text, numeric, jsonb, text, text) TO {roles.agent}"
    )
    op.execute(f"GRANT SELECT ON agents.model_spend TO {roles.agent}, {roles.reader}")
    op.execute("ALTER TABLE agents.model_spend ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY all_users ON agents.model_spend TO {roles.owner}, {roles.reader} USING (true) WITH CHECK (true)")
    own = "user_id = (SELECT agents.bound_user())"
    op.execute(f"CREATE POLICY own_rows ON agents.model_spend TO {roles.agent} USING ({own}) WITH CHECK ({own})")
