"""``omc status`` where nothing runs: it says so, starts nothing and makes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from omc_infra.postgres import embedded
from omc_infra.postgres.credentials import password_variable
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate
from omc_infra.postgres.roles import ROLES
from omc_infra.settings import PROJECT_ROOT, Settings

OMC = str(Path(sys.executable).parent / "omc")


def status(home: Path, **variables: str) -> dict[str, Any]:
    """Run ``omc status --json`` where not everything runs, and return its document."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")}
    answer = subprocess.run(
        [OMC, "status", "--json"],
        env={**environ, "OMC_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=PROJECT_ROOT,
        check=False,
    )
    assert answer.returncode == 1, answer.stderr
    assert "secret" not in answer.stdout + answer.stderr
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def test_a_fresh_home_has_no_service_and_still_is_none(tmp_path: Path) -> None:
    document = status(tmp_path / "fresh")

    assert not document["healthy"]
    assert {service["run_by"] for service in document["services"]} == {"nobody"}
    assert document["database"]["reason"] == "server not running"
    assert document["holder"] is None
    assert not (tmp_path / "fresh").exists()


@pytest.mark.slow
def test_a_stopped_home_is_not_started(tmp_path: Path) -> None:
    with open_database(Settings(home=tmp_path), check=False, durable=False) as database:
        migrate(database)

    document = status(tmp_path)

    assert document["database"]["reason"] == "server not running"
    assert embedded.found(tmp_path) is None


def test_a_database_without_a_platform_is_told_with_its_revision(database: Database, settings: Settings, tmp_path: Path) -> None:
    assert settings.database_url
    passwords = {password_variable(role): str(database.logins[role].password) for role in ROLES}
    document = status(tmp_path, OMC_DATABASE_URL=settings.database_url.get_secret_value(), **passwords)

    (server,) = [service for service in document["services"] if service["name"] == "postgres"]
    assert server["healthy"]
    assert server["run_by"] == "elsewhere"
    assert document["database"]["revision"]
    assert document["findings"] == []
    assert document["database"]["reason"] is None


def test_a_home_that_does_not_know_the_passwords_of_the_roles_says_so_and_changes_none(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    assert settings.database_url
    document = status(tmp_path, OMC_DATABASE_URL=settings.database_url.get_secret_value())

    assert "password isn't recorded" in document["database"]["reason"]
    with database.connect("reader") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_database_that_is_not_migrated_is_not_touched(settings: Settings, database: Database, tmp_path: Path) -> None:
    with database.address.at("postgres").administer() as admin:
        admin.autocommit = True
        admin.execute("DROP DATABASE IF EXISTS t_untouched")
        admin.execute("CREATE DATABASE t_untouched")
    assert settings.database_url
    url = settings.database_url.get_secret_value().replace(database.name, "t_untouched")

    document = status(tmp_path, OMC_DATABASE_URL=url)

    assert document["database"]["reason"].startswith("not migrated")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 't\\_untouched%'").fetchone() == (0,)


def test_a_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    document = status(tmp_path, OMC_DATABASE_URL="postgresql://someone:secret@127.0.0.1:1/ledgers")

    assert "does not answer" in document["database"]["reason"]


def test_a_sandbox_that_a_setting_names_is_checked_there(tmp_path: Path) -> None:
    document = status(tmp_path, OMC_SANDBOX_URL="http://127.0.0.1:1")

    (sandbox,) = [service for service in document["services"] if service["name"] == "sandbox"]
    assert sandbox["run_by"] == "elsewhere"
    assert sandbox["address"] == "http://127.0.0.1:1"
    assert "does not answer" in sandbox["reason"]
