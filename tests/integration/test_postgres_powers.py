"""What reader and agent may not do whatever they set of themselves: run for ever, hold locks, store large objects."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.findings import role_findings
from omc_infra.postgres.migrate import migrate
from omc_infra.postgres.roles import Role, role_name
from omc_infra.postgres.watchdog import Watchdog
from omc_infra.settings import Settings

ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000000) AS a, generate_series(1, 1000000) AS b"
STUBBORN = """
DO $$ BEGIN
    LOOP
        BEGIN
            PERFORM count(*) FROM generate_series(1, 100000000);
        EXCEPTION WHEN query_canceled THEN NULL;
        END;
    END LOOP;
END $$
"""


@pytest.fixture(scope="module")
def of_plain_owner(settings: Settings) -> Iterator[Database]:
    """Open a database that is administered by a user with CREATEROLE who is no superuser."""
    assert settings.database_url is not None
    base = settings.database_url.get_secret_value()
    with psycopg.connect(base.rsplit("/", 1)[0] + "/postgres", autocommit=True) as admin:
        admin.execute("CREATE ROLE t_plain LOGIN CREATEROLE CREATEDB PASSWORD 'plain'")
        admin.execute("GRANT CONNECT ON DATABASE postgres TO t_plain")
    url = "postgresql://t_plain:plain@" + base.split("@")[1].rsplit("/", 1)[0] + "/t_plain"
    with open_database(Settings.model_validate({**settings.model_dump(), "database_url": url}), check=False) as database:
        migrate(database)
        yield database


@pytest.fixture(params=["superuser", "plain owner"])
def any_database(request: pytest.FixtureRequest) -> Database:
    """Return a database administered by a superuser, and one by a plain owner."""
    found: Database = request.getfixturevalue("database" if request.param == "superuser" else "of_plain_owner")
    return found


class Running:
    """A statement in a thread of its own, its role's limit switched off by itself."""

    def __init__(self, database: Database, role: Role, statement: str) -> None:
        self.failure: psycopg.Error | None = None
        self._connection = database.connect(role)
        self._connection.autocommit = True
        self._connection.execute("SET statement_timeout = 0")
        self._thread = threading.Thread(target=self._run, args=(statement,), daemon=True)
        self._thread.start()

    def _run(self, statement: str) -> None:
        try:
            self._connection.execute(statement)  # type: ignore[call-overload]
        except psycopg.Error as error:
            self.failure = error

    def ended_within(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()


@pytest.mark.parametrize("role", ["agent", "reader"])
def test_a_statement_beyond_its_roles_limit_is_ended_though_the_role_has_no_timeout(any_database: Database, role: Role) -> None:
    name = role_name(any_database.name, role)
    watchdog = Watchdog(any_database.address.administer, {name: 0.3})
    running = Running(any_database, role, ENDLESS)
    assert not running.ended_within(0.5)

    ended = watchdog.tick()
    watchdog.close()

    assert [overdue.role for overdue in ended] == [name]
    assert running.ended_within(10)
    assert isinstance(running.failure, psycopg.errors.QueryCanceled)


def test_a_statement_that_ignores_its_cancellation_loses_its_connection(database: Database) -> None:
    watchdog = Watchdog(database.address.administer, {role_name(database.name, "agent"): 0.1}, cancel_s=0.5)
    running = Running(database, "agent", STUBBORN)

    for _ in range(20):
        watchdog.tick()
        if running.ended_within(0.3):
            break
    watchdog.close()

    assert isinstance(running.failure, psycopg.OperationalError)


def test_statements_within_their_limit_and_of_other_roles_go_on(database: Database) -> None:
    watchdog = Watchdog.of(database)
    writer, agent = Running(database, "writer", ENDLESS), Running(database, "agent", ENDLESS)
    strict = Watchdog(database.address.administer, {role_name(database.name, "reader"): 0.0})

    assert not agent.ended_within(0.3)
    assert watchdog.tick() == strict.tick() == []
    assert not writer.ended_within(0.1)

    Watchdog(database.address.administer, {role_name(database.name, role): 0.0 for role in ("writer", "agent")}).tick()
    assert writer.ended_within(10)
    assert agent.ended_within(10)
    watchdog.close()


def test_a_watchdog_outlives_its_connection(database: Database) -> None:
    watchdog = Watchdog.of(database)
    watchdog.tick()
    with database.address.administer() as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'omc administrator' AND pid <> pg_backend_pid() AND datname = current_database()"
        )

    assert watchdog.tick() == []
    assert watchdog._connection is None
    assert watchdog.tick() == []
    assert watchdog._connection is not None
    watchdog.close()


@pytest.mark.parametrize("role", ["agent", "reader"])
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_xact_lock_shared(1, 2)",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT pg_sleep(0)",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()",
        "SELECT query_to_xml('SELECT 1', true, true, '')",
    ],
)
def test_reader_and_agent_may_not_call_what_could_hold_up_others(database: Database, role: Role, statement: str) -> None:
    with database.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)  # type: ignore[call-overload]


@pytest.mark.parametrize("role", ["owner", "writer", "dagster"])
def test_the_roles_that_work_keep_their_locks(database: Database, role: Role) -> None:
    with database.connect(role) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(1), pg_try_advisory_lock(2), pg_advisory_unlock(2)")


def test_a_database_of_a_superuser_has_no_findings(database: Database) -> None:
    migrate(database)

    assert role_findings(database) == []


def test_where_the_server_allows_no_revocation_the_findings_say_so(of_plain_owner: Database) -> None:
    found = role_findings(of_plain_owner)

    still = "may call functions of advisory locks, sleep, cancel and terminate, large objects"
    assert [line.split()[1] for line in found] == ["t_plain_reader", "t_plain_agent"]
    assert all(still in line and "only a superuser can withdraw them" in line for line in found)


def test_findings_name_powers_that_a_role_was_given(database: Database) -> None:
    names = {role: sql.Identifier(role_name(database.name, role)) for role in ("agent", "writer")}
    with database.connect("agent") as agent:
        agent.execute("ALTER ROLE CURRENT_USER SET statement_timeout = 0")
    with database.address.administer() as admin:
        admin.execute(sql.SQL("ALTER ROLE {agent} CREATEDB").format(**names))
        admin.execute(sql.SQL("GRANT {writer} TO {agent}").format(**names))

    found = "\n".join(role_findings(database))

    with database.address.administer() as admin:
        admin.execute(sql.SQL("ALTER ROLE {agent} NOCREATEDB").format(**names))
        admin.execute(sql.SQL("REVOKE {writer} FROM {agent}").format(**names))
    assert "agent is CREATEDB" in found
    assert f"agent is a member of {database.name}_writer" in found
    assert "agent has statement_timeout 0 instead of 5000ms" in found
