"""A full or read-only disk: every command says so in one line and ends with 2; a running platform says it and goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from omc_infra.errors import DatabaseUnavailableError, MachineError
from omc_infra.machine import machine_failure
from omc_infra.postgres import embedded
from omc_infra.postgres.database import open_database
from omc_infra.settings import PROJECT_ROOT, load_settings

sys.path.insert(0, str(Path(__file__).parent))

from small_disk import fill, free, small_disk

OMC = str(Path(sys.executable).parent / "omc")
COMMANDS = ("up", "demo", "db migrate", "collect human_fear_greed", "quality", "sandbox serve")
READERS = ("collect human_fear_greed", "collect glass_defillama", "quality", "demo")


def environ_of(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OMC_") and name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "OMC_HOME": str(home)}


def line_of(home: Path, command: str) -> str:
    """Run a command that must refuse, and return its one line."""
    words = [OMC, *command.split()]
    answer = subprocess.run(words, env=environ_of(home), capture_output=True, text=True, timeout=100, cwd=PROJECT_ROOT, check=False)
    assert answer.returncode == 2, answer.stderr[-3000:]
    (line,) = answer.stderr.splitlines()
    assert line.startswith("omc: ")
    return line


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with small_disk(tmp_path_factory.mktemp("disk") / "home", 2, "ro") as folder:
        yield folder


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with small_disk(tmp_path_factory.mktemp("disk") / "home", 2) as folder:
        fill(folder)
        yield folder


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a migrated database on a disk that tests fill."""
    with small_disk(tmp_path_factory.mktemp("disk") / "home", 200) as folder:
        subprocess.run([OMC, "db", "migrate"], env=environ_of(folder), check=True, cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL)
        yield folder


@pytest.mark.parametrize("command", COMMANDS)
def test_on_a_read_only_home_every_command_says_so(read_only: Path, command: str) -> None:
    assert "Read-only file system" in line_of(read_only, command)


@pytest.mark.parametrize("command", COMMANDS)
def test_on_a_full_disk_every_command_says_so(full: Path, command: str) -> None:
    assert "No space left on device" in line_of(full, command)


@pytest.mark.slow
def test_a_disk_too_small_for_a_server_is_told_by_the_servers_own_words(tmp_path: Path) -> None:
    with small_disk(tmp_path / "home", 24) as home:
        assert "No space left on device" in line_of(home, "db migrate")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_can_not_start_on_a_full_disk_is_one_line(migrated: Path, command: str) -> None:
    fill(migrated)
    try:
        assert "No space left on device" in line_of(migrated, command)
    finally:
        free(migrated)


@pytest.mark.slow
@pytest.mark.parametrize("command", READERS)
def test_a_disk_that_runs_full_under_a_running_server_is_one_line(migrated: Path, command: str) -> None:
    with embedded.running(migrated):
        fill(migrated)
        try:
            assert "No space left on device" in line_of(migrated, command)
        finally:
            free(migrated)


@pytest.mark.slow
def test_postgresqls_own_errors_are_told_from_faults_of_ours(migrated: Path) -> None:
    with open_database(load_settings(environ_of(migrated))) as database, database.connect("owner") as connection:
        connection.autocommit = True
        connection.execute("SET default_transaction_read_only = on")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as read_only:
            connection.execute("CREATE TABLE omc.refused ()")
        with pytest.raises(psycopg.errors.UndefinedTable) as ours:
            connection.execute("SELECT * FROM nowhere")
        large = sa.text("CREATE TEMP TABLE large AS SELECT repeat(i::text, 100) FROM generate_series(1, 200000) i")
        fill(migrated)
        with database.engine("writer").begin() as transaction, pytest.raises(sa.exc.OperationalError) as full:
            transaction.execute(large)
    free(migrated)
    with pytest.raises(psycopg.OperationalError) as unreachable:
        psycopg.connect("postgresql://nobody@127.0.0.1:1/x")

    assert isinstance(machine_failure(full.value), MachineError)
    assert "free space on its disk" in str(machine_failure(full.value))
    assert isinstance(machine_failure(read_only.value), MachineError)
    assert isinstance(machine_failure(unreachable.value), DatabaseUnavailableError)
    assert machine_failure(ours.value) is None
    assert machine_failure(KeyError("fault of ours")) is None


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_disk_that_runs_full_under_a_platform_is_told_on_its_console_until_it_is_over(tmp_path: Path) -> None:
    with small_disk(tmp_path / "home", 400) as home:
        console = tmp_path / "console"
        with console.open("wb") as file:
            process = subprocess.Popen(
                [OMC, "up", "--port", "0"], env=environ_of(home), stdout=subprocess.DEVNULL, stderr=file, cwd=PROJECT_ROOT
            )
        try:
            eventually(lambda: "Ctrl-C stops everything" in console.read_text(), console)

            fill(home)
            eventually(lambda: "is nearly full" in console.read_text() and "PostgreSQL can't write" in console.read_text(), console)
            free(home)
            eventually(lambda: "has room again" in console.read_text(), console)
            eventually(lambda: embedded.found(home) is not None, console)
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(60)

        assert status == 0
        assert console.read_text().count("is nearly full") == 1
        assert "Traceback" not in console.read_text()


def eventually(holds: Callable[[], bool], console: Path, patience_s: float = 120.0) -> None:
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, console.read_text()
        time.sleep(0.5)
