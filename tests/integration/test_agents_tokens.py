"""Whoever runs SQL as role agent sees the rows of its session's user: no other user's, whatever it sets, inserts or guesses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest
from agent_sessions import EDGAR, LIFETIME, session_of, token_of
from sqlalchemy import text

from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.orchestration.handover import run_variables
from omc_agents.sessions.dispatch import assign_batch, dispatch_fresh
from omc_agents.sessions.store import SessionStore
from omc_agents.sessions.tokens import VARIABLE, handed_over, issue_token
from omc_agents.workflow.batch import brief_batch
from omc_infra.errors import ConfigurationError
from omc_infra.postgres.database import Database, open_database
from omc_infra.runs.variables import StartingRun
from omc_infra.settings import Settings, load_settings
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.ledgers.exchange import Fill
from omc_pipeline.ledgers.write import append

NOW = datetime.now(UTC).replace(microsecond=0)
OWN = "SELECT DISTINCT user_id FROM exchange.fill"
_SESSION = (
    "INSERT INTO agents.session (session_id, user_id, source, event_id, status, model, event_recorded_at, as_of)"
    " VALUES ('x', 'victim', 's', 'e', 'queued', 'm', now(), now())"
)


@pytest.fixture(scope="module", autouse=True)
def fills(database: Database) -> None:
    """Store one fill each of a user and of a victim."""
    numbers = Decimal("0.1"), Decimal(150_000), Decimal(15_000), Decimal(15)
    rows = [Fill(f"fill-{user}", user, "main", "BTC", "AUD", "buy", *numbers, "AUD", NOW) for user in ("ada", "victim")]
    with database.connect("writer") as connection:
        append(connection, "exchange_coinspot_account", rows, None)
        connection.commit()


@pytest.fixture
def announce(database: Database) -> Callable[[], str]:
    """Return a function that announces a fresh event and returns its id."""

    def make() -> str:
        event_id = str(uuid4())
        event = CatalystEvent(event_id, "filing", "BTC", "MSTR", "S", "8-K", "8-K", None, "u", None, datetime.now(UTC))
        with database.connect("writer") as connection:
            append(connection, EDGAR, [event], None)
            connection.commit()
        return event_id

    return make


def seen(database: Database, **settings: str) -> list[str]:
    """Return whose fills a transaction of role agent sees after it has set something of itself."""
    with database.connect("agent") as connection:
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, true)", ["omc." + name, value])
        return sorted(user for (user,) in connection.execute(OWN))


def test_without_a_token_no_row_is_seen(database: Database) -> None:
    assert seen(database) == []


def test_with_its_token_a_session_sees_its_users_rows(database: Database) -> None:
    assert seen(database, session_token=token_of(database, "ada")) == ["ada"]


def test_naming_a_victim_shows_none_of_its_rows(database: Database) -> None:
    assert seen(database, user_id="victim") == []
    assert seen(database, session_token=token_of(database, "ada"), user_id="victim") == ["ada"]


@pytest.mark.parametrize("guess", ["", "victim", "0" * 43, "\\x00"])
def test_a_made_up_token_shows_nothing(database: Database, guess: str) -> None:
    token_of(database, "victim")

    assert seen(database, session_token=guess) == []


def test_an_expired_token_shows_nothing(database: Database) -> None:
    assert seen(database, session_token=token_of(database, "ada", timedelta(seconds=-1))) == []


def test_the_digest_of_a_token_is_no_token(database: Database) -> None:
    token = token_of(database, "victim")
    with database.connect("owner") as owner:
        row = owner.execute("SELECT encode(sha256(convert_to(%s, 'UTF8')), 'hex')", [token]).fetchone()

    assert row is not None
    assert seen(database, session_token=str(row[0])) == []


@pytest.mark.parametrize("role", ["agent", "reader", "writer", "dagster"])
def test_nobody_reads_the_tokens(database: Database, role: str) -> None:
    with database.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):  # type: ignore[arg-type]
        connection.execute("SELECT * FROM agents.session_token")


@pytest.mark.parametrize(
    "statement",
    [
        _SESSION,
        "UPDATE agents.session SET user_id = 'victim'",
        "INSERT INTO agents.session_token SELECT sha256('x'), session_id, user_id, now(), 'infinity' FROM agents.session",
        "UPDATE agents.session_token SET expires_at = 'infinity'",
        "INSERT INTO agents.dispatch (source, event_id, batch_id) VALUES ('s', 'e', gen_random_uuid())",
        "SELECT agents.forget_expired_tokens()",
        "CREATE OR REPLACE FUNCTION agents.bound_user() RETURNS text LANGUAGE sql AS 'SELECT ''victim'''",
        "CREATE FUNCTION agents.mine() RETURNS text LANGUAGE sql AS 'SELECT ''victim'''",
    ],
)
def test_an_agent_opens_no_session_and_issues_no_token(database: Database, statement: str) -> None:
    with database.connect("agent") as connection:
        connection.execute("SELECT set_config('omc.session_token', %s, true)", [token_of(database, "ada")])

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)  # type: ignore[call-overload]


def test_a_relation_of_the_agents_own_schema_path_is_not_read_in_place_of_the_tokens(database: Database) -> None:
    with database.connect("agent") as connection:
        connection.execute("SET search_path = pg_temp, agents")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TEMPORARY TABLE session_token AS SELECT 'victim' AS user_id")


def test_checkpoints_of_another_user_are_invisible(database: Database) -> None:
    from omc_agents.workflow.graph import checkpoints, import_langgraph

    import_langgraph()
    with database.connect("owner") as owner:
        for user in ("ada", "victim"):
            owner.execute("INSERT INTO agents.checkpoints (thread_id, checkpoint_id, checkpoint) VALUES (%s, '1', '{}')", [f"{user}:s"])

    with checkpoints(database, token_of(database, "ada")) as saver:
        saver.conn.execute("SELECT set_config('omc.user_id', 'victim', false)")  # type: ignore[union-attr]
        found = saver.conn.execute("SELECT thread_id FROM agents.checkpoints").fetchall()  # type: ignore[union-attr]

    assert [row["thread_id"] for row in found] == ["ada:s"]  # type: ignore[call-overload]


def test_no_policy_reads_a_user_id_that_a_session_sets_itself(database: Database) -> None:
    with database.connect("owner") as owner:
        found = owner.execute(
            "SELECT schemaname || '.' || tablename, policyname, coalesce(qual, '') || coalesce(with_check, '') FROM pg_policies"
            " WHERE %s::name = ANY(roles)",
            [f"{database.name}_agent"],
        ).fetchall()

    assert {relation for relation, _, _ in found} >= {"exchange.fill", "pnl.position", "agents.session", "agents.checkpoint_writes"}
    assert [policy for policy in found if "omc.user_id" in policy[2]] == []
    assert [policy[:2] for policy in found if "agents.bound_user()" not in policy[2]] == []


def test_the_user_of_a_token_is_looked_up_once_a_query(database: Database) -> None:
    with database.connect("agent") as connection:
        plan = "\n".join(line for (line,) in connection.execute("EXPLAIN SELECT * FROM exchange.fill"))

    assert "InitPlan 1" in plan
    assert "InitPlan 2" not in plan
    assert "Filter: (user_id = (InitPlan" not in plan


def test_a_failing_statement_does_not_tell_its_token(database: Database) -> None:
    token = token_of(database, "ada")

    with pytest.raises(Exception, match="division by zero") as raised, SessionStore(database, "ada", token).engine.begin() as connection:
        connection.execute(text("SELECT set_config('omc.session_token', :token, true), 1 / :zero"), {"token": token, "zero": 0})

    assert token not in str(raised.value)
    assert token not in repr(SessionStore(database, "ada", token))


def test_another_session_of_the_role_does_not_see_a_token_in_the_list_of_statements(database: Database) -> None:
    token = token_of(database, "victim")

    with SessionStore(database, "victim", token).transaction(), database.connect("agent") as attacker:
        statements = [str(query) for (query,) in attacker.execute("SELECT query FROM pg_stat_activity WHERE usename = current_user")]

    assert any("omc.session_token" in statement for statement in statements)
    assert not any(token in statement for statement in statements)


def test_a_run_of_a_batch_gets_the_tokens_of_its_sessions_and_the_logins_of_agent_and_dagster_only(
    database: Database, settings: Settings, announce: Callable[[], str]
) -> None:
    event = announce()
    batch = next(batch for batch in dispatch_fresh(database, 24))
    run = StartingRun("r", "brief_catalysts", {"ops": {"brief_batch_events": {"config": {"batch_id": str(batch)}}}})

    given = dict(run_variables(run, database, settings))
    assignments = handed_over(given)
    limited = load_settings({**settings.without_logins().environ(), **given})

    assert VARIABLE not in given, "a child of the run inherits no token"
    assert assignments is not None
    assert session_of(database, event) in [assignment.session_id for assignment in assignments]
    assert all(assignment.token not in repr(assignment) for assignment in assignments)
    with open_database(limited) as own:
        assert sorted(own.logins) == ["agent", "dagster"]
        outcomes = brief_batch(own, limited, ScriptedAnalyst(), batch, assignments)
        with pytest.raises(ConfigurationError, match="no login for role 'writer'"):
            issue_token(own, assignments[0].session_id, LIFETIME)
    assert {outcome.event_id: outcome.outcome for outcome in outcomes}[event] in {"published", "refused"}


def test_a_finished_session_gets_no_token_and_an_unfinished_one_another_each_time(database: Database, announce: Callable[[], str]) -> None:
    event = announce()
    batch = dispatch_fresh(database, 24)[0]

    (first,), (second,) = (assign_batch(database, batch, "m", LIFETIME) for _ in range(2))
    SessionStore(database, second.user_id, second.token).finish(second.session_id, "failed", "no")

    assert first.session_id == second.session_id == session_of(database, event)
    assert first.token != second.token
    assert assign_batch(database, batch, "m", LIFETIME) == []


def test_expired_tokens_are_forgotten(database: Database) -> None:
    expired = token_of(database, "ada", timedelta(seconds=-1))

    assign_batch(database, uuid4(), "m", LIFETIME)

    counted = "SELECT count(*) FROM agents.session_token WHERE token_sha256 = sha256(convert_to(%s, 'UTF8'))"
    with database.connect("owner") as owner:
        assert owner.execute(counted, [expired]).fetchone() == (0,)
