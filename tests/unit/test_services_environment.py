"""A service's process gets the variables it needs and no other: no key, no database, nothing of the person's shell."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from omc_infra.postgres.address import Address
from omc_infra.postgres.database import Database
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
    database = Database("omc", "sandbox", Address.parse(DATABASE_URL), "x") if table[name].roles else None
    return service_environ(table[name], SETTINGS, database, DAGSTER, table)


def test_the_sandbox_gets_no_key_no_database_and_nothing_of_the_shell() -> None:
    environ = environ_of("sandbox")

    assert not [value for value in environ.values() if "secret" in value]
    assert not [name for name in environ if name.startswith(("OMC_", "PG", "DAGSTER_", "AWS_"))]
    assert environ["TZ"] == "UTC"


def test_the_dagster_ui_gets_dagsters_login_and_nothing_else() -> None:
    environ = environ_of("dagster-webserver")

    assert environ["DAGSTER_PG_URL"] == DAGSTER["DAGSTER_PG_URL"]
    assert "shellsecret" not in environ.values()
    assert not [name for name in environ if name.startswith("OMC_")]


def test_the_agents_code_server_gets_no_key_of_a_source() -> None:
    environ = environ_of("code-omc_agents")

    assert "keysecret" not in environ.values()
    assert environ["OMC_DATABASE_URL"] == DATABASE_URL
    assert environ["LANGGRAPH_STRICT_MSGPACK"] == "true"


def test_the_daemon_gets_what_runs_need_for_they_start_below_it() -> None:
    environ = environ_of("dagster-daemon")

    assert environ["OMC_KEY_COINSPOT"] == environ["OMC_KEY_GLASSNODE"] == "keysecret"
    assert environ["AWS_SECRET_ACCESS_KEY"] == "shellsecret"
    assert environ["LANGGRAPH_STRICT_MSGPACK"] == "true"
