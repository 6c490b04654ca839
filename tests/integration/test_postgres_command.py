"""``omc db`` as a person calls it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess, run

import psycopg
import pytest

from omc_infra.postgres import embedded
from omc_infra.settings import PROJECT_ROOT, Settings

OMC = "from omc_infra.cli import main; main()"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return an empty home; its server is stopped at the end, whatever happened."""
    home = tmp_path_factory.mktemp("command home")
    yield home
    embedded.stop(home, force=True)


def omc(home: Path, *arguments: str, **variables: str) -> CompletedProcess[str]:
    """Call ``omc db`` in a process of its own."""
    values = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")}
    environment = {**values, "OMC_HOME": str(home), **variables}
    command = [sys.executable, "-c", OMC, "db", *arguments]
    return run(command, capture_output=True, text=True, timeout=120, check=False, cwd=PROJECT_ROOT, env=environment)


@pytest.mark.slow
def test_a_fresh_machine_is_migrated_asked_and_stopped(folder: Path) -> None:
    migrated = omc(folder, "migrate", "--json")
    status = omc(folder, "status", "--json")
    url = json.loads(omc(folder, "url", "--role", "agent", "--json").stdout)["url"]

    assert json.loads(migrated.stdout)["applied"][:2] == ["i0001", "p0001"], migrated.stderr
    assert (status.returncode, json.loads(status.stdout)["running"]) == (1, False)
    with embedded.running(folder), psycopg.connect(url) as connection:
        assert connection.execute("SELECT profile FROM omc.marker").fetchone() == ("sandbox",)
        assert omc(folder, "status").returncode == 0
        assert omc(folder, "stop", "--json").returncode == 1
    assert json.loads(omc(folder, "stop", "--json").stdout) == {"stopped": True, "was_running": False}


def test_a_server_that_does_not_answer_is_told_with_its_reason_and_another_profiles_rows_are_refused(
    folder: Path, settings: Settings, database: object
) -> None:
    assert settings.database_url
    silent = omc(folder, "status", OMC_DATABASE_URL="postgresql://user:s3cret@127.0.0.1:1/omc")
    foreign = omc(folder, "status", OMC_DATABASE_URL=settings.database_url.get_secret_value(), OMC_PROFILE="live")

    assert (silent.returncode, "127.0.0.1:1" in silent.stdout, "refused" in silent.stdout) == (1, True, True)
    assert "s3cret" not in silent.stdout + silent.stderr
    assert (foreign.returncode, "belongs to the profile sandbox" in foreign.stderr) == (2, True)


@pytest.mark.parametrize("command", ["migrate", "url", "status"])
def test_wrong_settings_give_one_line_and_exit_code_2(folder: Path, command: str) -> None:
    refused = omc(folder, command, OMC_DATABASE_URL="postgresql://user:s3cr@et@localhost/omc")

    assert refused.returncode == 2
    assert refused.stderr.startswith("omc: OMC_DATABASE_URL: ")
    assert refused.stderr.count("\n") == 1
    assert "s3cr" not in refused.stderr + refused.stdout
