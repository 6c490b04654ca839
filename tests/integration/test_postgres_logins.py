"""Each role's own password: handed out one by one, rotated alone, recorded, set again, and taken over from derived ones."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.credentials import CredentialFiles, without_logins
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate
from omc_infra.postgres.roles import ROLES, Role, derived_password, role_name, set_password
from omc_infra.settings import Settings, load_settings

Fresh = Callable[..., Settings]


@pytest.fixture
def fresh(settings: Settings) -> Iterator[Fresh]:
    """Return a function that gives settings for another database of the session's server, dropped at the end."""
    assert settings.database_url is not None
    base = settings.database_url.get_secret_value().rsplit("/", 1)[0]
    made: list[str] = []

    def name(suffix: str, **fields: object) -> Settings:
        made.append(f"t_{suffix}")
        return Settings.model_validate({**settings.model_dump(), "database_url": f"{base}/t_{suffix}", **fields})

    yield name
    with psycopg.connect(f"{base}/postgres", autocommit=True) as admin:
        for database in made:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))


@pytest.fixture
def embedded(home: Path) -> Settings:
    """Return settings for the embedded server of the session's home, its database migrated."""
    settings = load_settings({"OMC_HOME": str(home)})
    with open_database(settings, check=False) as database:
        migrate(database)
    return settings


def logs_in(database: Database, role: Role, password: str) -> bool:
    try:
        database.address.dial(role_name(database.name, role), password, "test").close()
    except psycopg.OperationalError:
        return False
    return True


def password_of(database: Database, role: Role) -> str:
    return str(database.logins[role].password)


def test_no_roles_password_follows_from_the_administrators(database: Database) -> None:
    secret = str(database.address.password)

    assert not any(logs_in(database, role, derived_password(secret, database.name, role)) for role in ROLES)
    assert len({password_of(database, role) for role in ROLES} | {secret}) == len(ROLES) + 1


def test_recorded_passwords_are_readable_by_their_owner_only(database: Database, settings: Settings) -> None:
    folder = CredentialFiles.of(settings, database.address).folder

    assert {file.name for file in folder.iterdir()} == set(ROLES)
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("server", ["own", "embedded"])
def test_a_child_process_has_the_logins_of_its_roles_and_no_others(server: str, request: pytest.FixtureRequest) -> None:
    settings: Settings = request.getfixturevalue("settings" if server == "own" else "embedded")
    with open_database(settings, check=False) as database:
        migrate(database)
        environ = {**settings.without_logins().environ(), **database.environ(("agent", "dagster"))}
        secrets = {str(database.address.password), *(password_of(database, role) for role in ("owner", "writer", "reader"))}

    with open_database(load_settings(environ)) as limited:
        for role in ("agent", "dagster"):
            with limited.connect(role) as connection:
                assert connection.execute("SELECT current_user").fetchone() == (role_name(limited.name, role),)
        for role in ("owner", "writer", "reader"):
            with pytest.raises(ConfigurationError, match=f"no login for role '{role}'.*its roles: agent, dagster") as refused:
                limited.connect(role)
            assert "\n" not in str(refused.value)
        with pytest.raises(ConfigurationError, match="can't administer"):
            limited.ensure_roles()
        with pytest.raises(ConfigurationError, match="no login for role 'writer'"):
            limited.environ(("writer",))
    assert not any(secret in value for secret in secrets for value in environ.values())
    assert "OMC_DATABASE_URL" not in environ


def test_a_child_process_without_roles_opens_nothing(embedded: Settings) -> None:
    with open_database(embedded) as database:
        environ = {**embedded.without_logins().environ(), **database.environ(())}

    with (
        pytest.raises(ConfigurationError, match=r"isn't migrated|no login"),
        open_database(load_settings(environ)) as limited,
    ):
        limited.connect(limited.any_role())


def test_variables_without_logins_keep_the_rest(settings: Settings, database: Database) -> None:
    kept = without_logins({**settings.environ(), **database.environ(("writer",)), "PATH": "/bin"})

    assert kept["PATH"] == "/bin"
    assert kept["OMC_HOME"] == str(settings.home)
    assert load_settings({name: value for name, value in kept.items() if name.startswith("OMC_")}).has_roles_only
    assert not any("postgresql://" in value for value in kept.values())


def test_rotating_one_roles_password_changes_no_other(fresh: Fresh) -> None:
    chosen = fresh("rotated")
    with open_database(chosen, check=False) as database:
        migrate(database)
        before = {role: password_of(database, role) for role in ROLES}
        with database.connect("agent") as running, database.engine("agent").connect():
            database.rotate("agent")
            assert running.execute("SELECT 1").fetchone() == (1,)
        after = {role: password_of(database, role) for role in ROLES}

        assert [role for role in ROLES if before[role] != after[role]] == ["agent"]
        assert not logs_in(database, "agent", before["agent"])
        assert all(logs_in(database, role, after[role]) for role in ROLES)
        with database.engine("agent").connect() as pooled:
            assert pooled.exec_driver_sql("SELECT 1").scalar_one() == 1
    with open_database(chosen) as again:
        assert password_of(again, "agent") == after["agent"]


def test_a_password_given_by_a_variable_is_set_and_not_rotated(fresh: Fresh) -> None:
    chosen = fresh("given", database_agent_password="chosen elsewhere")

    with open_database(chosen, check=False) as database:
        migrate(database)

        assert logs_in(database, "agent", "chosen elsewhere")
        with pytest.raises(ConfigurationError, match="set OMC_DATABASE_AGENT_PASSWORD"):
            database.rotate("agent")


def test_what_a_role_changed_of_itself_is_set_back_at_the_next_start(fresh: Fresh) -> None:
    with open_database(fresh("selfish"), check=False) as database:
        migrate(database)
        recorded = password_of(database, "agent")
        with database.connect("agent") as agent:
            agent.execute("ALTER ROLE CURRENT_USER PASSWORD 'mine'")
            agent.execute("ALTER ROLE CURRENT_USER SET statement_timeout = 0")
            agent.execute(sql.SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET statement_timeout = 0").format(sql.Identifier(database.name)))

        migrate(database)

        assert logs_in(database, "agent", recorded)
        assert not logs_in(database, "agent", "mine")
        with database.connect("agent") as agent:
            assert agent.execute("SELECT current_setting('statement_timeout'), current_setting('timezone')").fetchone() == ("5s", "UTC")


def test_a_home_without_the_recorded_passwords_is_told_so_and_changes_none(fresh: Fresh, tmp_path: Path) -> None:
    chosen = fresh("of_another_home")
    with open_database(chosen, check=False) as database:
        migrate(database)

        stranger = chosen.model_copy(update={"home": tmp_path})
        with (
            pytest.raises(ConfigurationError, match=r"its password isn't recorded in .* copy that folder") as refused,
            open_database(stranger),
        ):
            pass

        assert "\n" not in str(refused.value)
        assert all(logs_in(database, role, password_of(database, role)) for role in ROLES)


def test_a_database_with_derived_passwords_and_dagsters_tables_of_the_writer_is_taken_over_with_its_rows(
    fresh: Fresh, tmp_path: Path
) -> None:
    chosen = fresh("of_before")
    with open_database(chosen, check=False) as database:
        migrate(database)
        _as_before(database)

    with open_database(chosen.model_copy(update={"home": tmp_path}), check=False) as database:
        migrate(database)

        secret = str(database.address.password)
        assert not any(logs_in(database, role, derived_password(secret, database.name, role)) for role in ROLES)
        assert all(logs_in(database, role, password_of(database, role)) for role in ROLES)
        with database.connect("dagster") as dagster:
            assert dagster.execute("INSERT INTO dagster.runs (run_id) VALUES ('new') RETURNING id").fetchone() == (2,)
            assert dagster.execute("SELECT run_id FROM dagster.runs ORDER BY id").fetchall() == [("old",), ("new",)]
            dagster.execute("ALTER TABLE dagster.runs ADD COLUMN more text")
        with database.connect("writer") as writer, pytest.raises(psycopg.errors.InsufficientPrivilege):
            writer.execute("SELECT FROM dagster.runs")


def _as_before(database: Database) -> None:
    """Make a database what it was before each role had a password of its own and Dagster a role."""
    secret = str(database.address.password)
    names = {role: sql.Identifier(role_name(database.name, role)) for role in ROLES}
    with database.address.administer() as admin:
        for role in ("owner", "writer", "reader", "agent"):
            set_password(admin, role_name(database.name, role), derived_password(secret, database.name, role))
        for statement in (
            "REVOKE ALL ON SCHEMA dagster, omc FROM {dagster}",
            "REVOKE ALL ON omc.marker, omc.alembic_version FROM {dagster}",
            "DROP OWNED BY {dagster}",
            "DROP ROLE {dagster}",
            "GRANT USAGE, CREATE ON SCHEMA dagster TO {writer}",
            "SET LOCAL ROLE {writer}",
            "CREATE TABLE dagster.runs (id bigserial PRIMARY KEY, run_id text)",
            "INSERT INTO dagster.runs (run_id) VALUES ('old')",
        ):
            admin.execute(sql.SQL(statement).format(**names))
