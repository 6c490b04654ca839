"""A service's process gets the variables it needs and no other: no key, no database, nothing of the person's shell."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from omc_infra.postgres.address import Address
from omc_infra.postgres.database import Database
from omc_infra.postgres.roles import ROLES
from omc_infra.services.environment import service_environ
from omc_infra.services.table import load_services
from omc_infra.settings import Settings

DATABASE_URL = "postgresql://admin:databasesecret@127.0.0.1:1/omc"
SETTINGS = Settings(database_url=SecretStr(DATABASE_URL), keys={"coinspot": SecretStr("keysecret"), "glassnode": SecretStr("keysecret")})
DAGSTER = {"DAGSTER_HOME": "/somewhere", "DAGSTER_PG_URL": "postgresql://omc_writer:dagstersecret@127.0.0.1:1/omc"}


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of a person's shell."""
    for name, value in {
        "OMC_KEY_COINSPOT": "keysecret",
        "OMC_DATABASE_URL": DATABASE_URL,
        "PGPASSWORD": "databasesecret",
        "DAGSTER_PG_URL": "dagstersecret",
        "AWS_SECRET_ACCESS_KEY": "shellsecret",
        "TZ": "UTC",
    }.items():
        monkeypatch.setenv(name, value)


def environ_of(name: str) -> dict[str, str]:
    table = load_services()
    logins = {role: Address.parse(f"postgresql://omc_{role}:secret-of-{role}@127.0.0.1:1/omc") for role in ROLES}
    database = Database("omc", "sandbox", Address.parse(DATABASE_URL), logins, {}) if table[name].roles else None
    return service_environ(table[name], SETTINGS, database, DAGSTER, table)


def held_by(environ: dict[str, str]) -> set[str]:
    """Return the roles a process can log in as; the administrator's login must not be among them."""
    assert "databasesecret" not in "".join(environ.values())
    return {role for role in ROLES if f"secret-of-{role}" in "".join(environ.values())}


def test_the_sandbox_gets_no_key_no_database_and_nothing_of_the_shell() -> None:
    environ = environ_of("sandbox")

    assert not [value for value in environ.values() if "secret" in value]
    assert [name for name in environ if name.startswith(("OMC_", "PG", "DAGSTER_", "AWS_"))] == ["OMC_DATABASE_ACCESS"]
    assert environ["OMC_DATABASE_ACCESS"] == "roles", "it could else read the administrator's password in the home"
    assert environ["TZ"] == "UTC"


def test_the_dagster_ui_gets_dagsters_login_and_nothing_else() -> None:
    environ = environ_of("dagster-webserver")

    assert environ["DAGSTER_PG_URL"] == DAGSTER["DAGSTER_PG_URL"]
    assert "shellsecret" not in environ.values()
    assert [name for name in environ if name.startswith("OMC_")] == ["OMC_DATABASE_ACCESS"]


def test_the_agents_code_server_gets_no_key_of_a_source() -> None:
    environ = environ_of("code-omc_agents")

    assert "keysecret" not in environ.values()
    assert held_by(environ) == {"dagster", "writer"}
    assert environ["LANGGRAPH_STRICT_MSGPACK"] == "true"


def test_the_daemon_gets_what_runs_need_for_they_start_below_it() -> None:
    environ = environ_of("dagster-daemon")

    assert held_by(environ) == {"dagster", "writer", "reader", "agent"}
    assert environ["OMC_KEY_COINSPOT"] == environ["OMC_KEY_GLASSNODE"] == "keysecret"
    assert environ["AWS_SECRET_ACCESS_KEY"] == "shellsecret"
    assert environ["LANGGRAPH_STRICT_MSGPACK"] == "true"
