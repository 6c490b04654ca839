"""The profile's database: made, migrated, marked, and each of its roles able to do its work and no more."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal

import psycopg
import pytest
from agent_sessions import token_of
from psycopg import sql
from sqlalchemy import text

from omc_infra.errors import ConfigurationError, DatabaseUnavailableError
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate, revision
from omc_infra.postgres.roles import role_name
from omc_infra.settings import PROJECT_ROOT, Settings

FILL = """
INSERT INTO exchange.fill (source, fill_id, user_id, account_id, symbol, currency, side, qty, price, quote_amount, fee, fee_currency,
                           executed_at, version, row_sha256)
VALUES ('venue', %s, %s, 'main', 'BTC', 'AUD', 'buy', 1, 100, 100, 0.1, 'AUD', now(), 1, 'digest')
"""
MIGRATE = """
from omc_infra.postgres.database import open_database
from omc_infra.postgres.migrate import migrate
from omc_infra.settings import load_settings
with open_database(load_settings(), check=False) as database:
    print(",".join(migrate(database)))
"""


def _url_of(settings: Settings, database: str) -> str:
    assert settings.database_url is not None
    return settings.database_url.get_secret_value().rsplit("/", 1)[0] + f"/{database}"


@pytest.fixture
def fresh(settings: Settings, changed: Callable[..., Settings], request: pytest.FixtureRequest) -> Iterator[Callable[..., Settings]]:
    """Return a function that gives settings for another database of the session's server, dropped at the end."""
    made: list[str] = []

    def name(suffix: str, **fields: object) -> Settings:
        made.append(f"t_{suffix}")
        return _with_url(settings, _url_of(settings, made[-1]), **fields)

    yield name
    with psycopg.connect(_url_of(settings, "postgres"), autocommit=True) as admin:
        for database in made:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))


def _with_url(settings: Settings, url: str, **fields: object) -> Settings:
    return Settings.model_validate({**settings.model_dump(), "database_url": url, **fields})


@pytest.fixture(scope="module")
def fills(database: Database) -> Database:
    """Return the database with one fill each of two users."""
    with database.connect("writer") as connection:
        for user in ("alice", "bob"):
            connection.execute(FILL, [f"fill-of-{user}", user])
    return database


def _may(database: Database, role: str, statement: str) -> bool:
    with database.connect(role) as connection:  # type: ignore[arg-type]
        try:
            connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            return False
        finally:
            connection.rollback()
    return True


def test_each_role_logs_in_with_psycopg_3_and_2_and_bare_urls(database: Database) -> None:
    import psycopg2  # type: ignore[import-untyped]

    for role in ("owner", "writer", "reader", "agent", "dagster"):
        name = role_name(database.name, role)
        with (
            psycopg.connect(database.url(role, driver="")) as bare,
            database.engine(role).connect() as pooled,
            database.connect(role) as values,
        ):
            assert bare.execute("SELECT current_user").fetchone() == (name,)
            assert values.execute("SELECT current_user, current_setting('application_name')").fetchone() == (name, f"omc {role}")
            assert pooled.execute(text("SELECT current_user")).scalar_one() == name
        old = psycopg2.connect(database.url(role, "psycopg2").replace("+psycopg2", ""))
        old.close()


def test_a_search_path_can_be_asked_for_in_the_url(database: Database) -> None:
    with psycopg.connect(database.url("dagster", "", search_path="dagster")) as connection:
        connection.execute("CREATE TABLE runs_of_dagster (id integer)")

        assert connection.execute("SELECT 'dagster.runs_of_dagster'::regclass IS NOT NULL").fetchone() == (True,)


def test_roles_have_no_power_over_the_server(database: Database) -> None:
    with database.connect("owner") as connection:
        powers = connection.execute(
            "SELECT DISTINCT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles WHERE rolname LIKE %s",
            [f"{database.name}\\_%"],
        ).fetchall()

    assert powers == [(False, False, False, False, False)]


@pytest.mark.parametrize(
    ("role", "statement", "allowed"),
    [
        ("writer", "INSERT INTO human.sentiment VALUES ('s', 'BTC', 'm', now(), 1, NULL, 1, now(), NULL, 'd')", True),
        ("writer", "CREATE TEMPORARY TABLE staging (x integer)", True),
        ("writer", "UPDATE human.sentiment SET score = 2", False),
        ("writer", "DELETE FROM human.sentiment", False),
        ("writer", "CREATE TABLE glass.mine (x integer)", False),
        ("writer", "CREATE TABLE public.mine (x integer)", False),
        ("writer", "UPDATE omc.marker SET profile = 'live'", False),
        ("reader", "SELECT * FROM raw.payload", True),
        ("reader", "SELECT profile FROM omc.marker", True),
        ("reader", "INSERT INTO human.sentiment VALUES ('s', 'BTC', 'm', now(), 1, NULL, 1, now(), NULL, 'd')", False),
        ("reader", "CREATE TEMPORARY TABLE staging (x integer)", False),
        ("agent", "SELECT * FROM glass.coin_price", True),
        ("agent", "SELECT profile FROM omc.marker", True),
        ("agent", "SELECT * FROM raw.payload", False),
        ("agent", "SELECT * FROM raw.quarantine", False),
        ("agent", "CREATE TEMPORARY TABLE mine (x integer)", False),
        ("agent", "CREATE TABLE public.mine (x integer)", False),
        ("agent", "INSERT INTO human.sentiment VALUES ('s', 'BTC', 'm', now(), 1, NULL, 1, now(), NULL, 'd')", False),
        ("agent", "CREATE ROLE mine", False),
        ("agent", "SELECT pg_read_file('/etc/hostname')", False),
        ("writer", "SELECT * FROM dagster.runs", False),
        ("writer", "CREATE TABLE dagster.mine (x integer)", False),
        ("dagster", "CREATE TABLE dagster.mine (x integer)", True),
        ("dagster", "SELECT profile FROM omc.marker", True),
        ("dagster", "SELECT * FROM exchange.fill", False),
        ("dagster", "SELECT * FROM agents.session", False),
        ("dagster", "CREATE TEMPORARY TABLE mine (x integer)", False),
    ],
)
def test_a_role_may_do_its_work_and_no_more(database: Database, role: str, statement: str, allowed: bool) -> None:
    assert _may(database, role, statement) is allowed


def test_an_agent_sees_the_rows_of_its_tokens_user_only(fills: Database) -> None:
    with fills.connect("agent") as connection:
        unbound = connection.execute("SELECT user_id FROM exchange.fill").fetchall()
        connection.execute("SELECT set_config('omc.session_token', %s, true)", [token_of(fills, "alice")])
        bound = connection.execute("SELECT user_id FROM exchange.fill").fetchall()
        connection.commit()
        afterwards = connection.execute("SELECT user_id FROM exchange.fill").fetchall()

    assert (unbound, bound, afterwards) == ([], [("alice",)], [])


def test_readers_and_the_owner_see_every_user(fills: Database) -> None:
    for role in ("owner", "writer", "reader"):
        with fills.connect(role) as connection:
            assert connection.execute("SELECT user_id, price FROM exchange.fill ORDER BY user_id").fetchall() == [
                ("alice", Decimal(100)),
                ("bob", Decimal(100)),
            ]


def test_an_agents_statement_is_cut_off_after_five_seconds(database: Database) -> None:
    with database.connect("agent") as connection:
        assert connection.execute("SELECT current_setting('statement_timeout')").fetchone() == ("5s",)


def test_the_roles_of_one_database_cannot_enter_another(database: Database, fresh: Callable[..., Settings]) -> None:
    other = fresh("other")
    with open_database(other, check=False):
        pass

    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(database.url("reader", "").replace(f"/{database.name}?", "/t_other?"))


def test_migrating_twice_changes_nothing_and_is_quick(database: Database) -> None:
    began = time.monotonic()

    assert migrate(database) == []
    assert time.monotonic() - began < 1
    assert revision(database) is not None


@pytest.mark.slow
def test_two_processes_may_migrate_at_once(fresh: Callable[..., Settings]) -> None:
    settings = fresh("at_once")
    environment = {**settings.environ(), "PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": "/usr/bin:/bin"}

    both = [
        subprocess.Popen([sys.executable, "-c", MIGRATE], stdout=subprocess.PIPE, text=True, env=environment, cwd=PROJECT_ROOT)
        for _ in range(2)
    ]
    answers = sorted(process.communicate(timeout=60)[0].strip() for process in both)

    assert [process.returncode for process in both] == [0, 0]
    assert answers[0] == ""
    assert answers[1].startswith("i0001,p0001")


def test_a_database_that_is_not_migrated_says_what_to_do(fresh: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigurationError, match="isn't migrated; run `omc db migrate`"), open_database(fresh("bare")):
        pass


@pytest.mark.parametrize(("holds", "asks"), [("sandbox", "live"), ("live", "sandbox")])
def test_a_database_of_the_other_profile_is_refused_in_one_line(fresh: Callable[..., Settings], holds: str, asks: str) -> None:
    with open_database(fresh("marked", profile=holds), check=False) as database:
        migrate(database)

    for check in (True, False):
        refusing = pytest.raises(ConfigurationError, match=f"belongs to the profile {holds}, but OMC_PROFILE is {asks}")
        with refusing as refused, open_database(fresh("marked", profile=asks), check=check):
            pass
        assert "\n" not in str(refused.value)


def test_a_password_that_was_changed_behind_our_back_is_mended(fresh: Callable[..., Settings], settings: Settings) -> None:
    chosen = fresh("mended")
    with open_database(chosen, check=False) as database:
        migrate(database)
    with psycopg.connect(_url_of(settings, "postgres"), autocommit=True) as admin:
        for role in ("owner", "writer", "reader", "agent", "dagster"):
            admin.execute(sql.SQL("ALTER ROLE {} PASSWORD 'changed'").format(sql.Identifier(f"t_mended_{role}")))

    with open_database(chosen) as database, database.connect("agent") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_names_that_want_quoting_work_throughout(fresh: Callable[..., Settings]) -> None:
    with open_database(fresh("Ledgers-2$"), check=False) as database:
        migrate(database)
        with database.connect("reader") as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("t_Ledgers-2$_reader",)


def test_an_administrator_who_is_no_superuser_is_enough(fresh: Callable[..., Settings], settings: Settings) -> None:
    with psycopg.connect(_url_of(settings, "postgres"), autocommit=True) as admin:
        admin.execute("CREATE ROLE t_dba LOGIN CREATEROLE CREATEDB PASSWORD 'not superuser'")
        admin.execute("GRANT CONNECT ON DATABASE postgres TO t_dba")
    url = fresh("of_dba").database_url
    assert url is not None
    own = _with_url(settings, "postgresql://t_dba:not%20superuser@" + url.get_secret_value().split("@")[1])

    with open_database(own, check=False) as database:
        assert migrate(database)[:2] == ["i0001", "p0001"]
    with open_database(own) as database, database.connect("agent") as connection:
        assert connection.execute("SELECT profile FROM omc.marker").fetchone() == ("sandbox",)


@pytest.mark.parametrize(
    ("change", "error", "line"),
    [
        (lambda url: re.sub(r":\d+/", ":1/", url), DatabaseUnavailableError, "does not answer"),
        (lambda url: url.replace("//omc:", "//omc:wrong-"), ConfigurationError, "rejects the login of 'omc'"),
        (lambda url: url.replace("//omc:", "//stranger:"), ConfigurationError, "rejects the login of 'stranger'"),
    ],
)
def test_what_is_wrong_with_a_server_of_ones_own_is_said_in_one_line_without_the_password(
    settings: Settings, change: Callable[[str], str], error: type[Exception], line: str
) -> None:
    url = change(_url_of(settings, "t_nowhere"))
    password = url.split("//")[1].split("@")[0].split(":")[1]

    with pytest.raises(error, match=line) as refused, open_database(_with_url(settings, url)):
        pass

    assert "\n" not in str(refused.value)
    assert password not in str(refused.value)
    assert str(refused.value).startswith("OMC_DATABASE_URL: ")


def test_an_administrator_without_the_rights_is_told_which(settings: Settings, database: Database) -> None:
    with psycopg.connect(_url_of(settings, "postgres"), autocommit=True) as admin:
        admin.execute("CREATE ROLE t_nobody LOGIN PASSWORD 'weak'")
        admin.execute("GRANT CONNECT ON DATABASE postgres TO t_nobody")
        admin.execute("CREATE DATABASE t_foreign")
    login = _url_of(settings, "{}").replace(_url_of(settings, "").split("//")[1].split("@")[0], "t_nobody:weak")

    with (
        pytest.raises(ConfigurationError, match="can't be created: permission denied"),
        open_database(_with_url(settings, login.format("t_new"))),
    ):
        pass
    with (
        pytest.raises(ConfigurationError, match="must own database 't_foreign'"),
        open_database(_with_url(settings, login.format("t_foreign"))),
    ):
        pass
