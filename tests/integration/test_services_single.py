"""One service alone in the foreground, as a container runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from omc_infra.clock import utc_now
from omc_infra.postgres.database import Database
from omc_infra.services.holder import PlatformLock, read_holder
from omc_infra.services.state import read_state
from omc_infra.settings import PROJECT_ROOT, Settings

OMC = str(Path(sys.executable).parent / "omc")
SANDBOX = "http://127.0.0.1:9"
PATIENCE_S = 60.0


def environ_of(settings: Settings, home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")}
    return {**inherited, **settings.environ(), "OMC_HOME": str(home), "OMC_SANDBOX_URL": SANDBOX}


def container_environ(settings: Settings, database: Database, home: Path) -> dict[str, str]:
    """Return the variables of a container that runs the daemon: the logins of its roles, and not the administrator's."""
    environ = environ_of(settings.without_logins(), home)
    return {**environ, **database.environ(("writer", "reader", "agent", "dagster"))}


@contextmanager
def alone(name: str, environ: dict[str, str], *options: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([OMC, "up", "--only", name, *options], env=environ, cwd=PROJECT_ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def refused(environ: dict[str, str], *arguments: str) -> str:
    """Run ``omc up --only`` where it must not run, and return its one line."""
    answer = subprocess.run(
        [OMC, "up", "--only", *arguments], env=environ, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 2, answer.stderr
    (line,) = answer.stderr.strip().splitlines()
    return line


@pytest.mark.slow
def test_a_service_takes_the_place_of_the_command_and_its_signals(tmp_path: Path) -> None:
    environ = environ_of(Settings(), tmp_path)
    del environ["OMC_SANDBOX_URL"]
    with alone("sandbox", environ, "--port", "sandbox=0") as process:
        eventually(lambda: read_state(tmp_path, "sandbox") is not None)
        state = read_state(tmp_path, "sandbox")
        assert state is not None
        assert state.pid == process.pid
        eventually(lambda: "omc_pipeline.sandbox" in psutil.Process(process.pid).cmdline())
        eventually((tmp_path / "sandbox" / "port").is_file)
        assert "already running" in refused(environ, "sandbox")

        process.send_signal(signal.SIGTERM)
        process.wait(10)

    assert read_state(tmp_path, "sandbox") is None


@pytest.mark.slow
def test_the_daemon_alone_holds_the_platforms_lock_until_it_ends(database: Database, settings: Settings, tmp_path: Path) -> None:
    environ = container_environ(settings, database, tmp_path)
    with alone("dagster-daemon", environ) as process:
        eventually(lambda: read_state(tmp_path, "dagster-daemon") is not None)
        holder, state = read_holder(database), read_state(tmp_path, "dagster-daemon")
        assert holder is not None
        assert state is not None
        assert (holder.pid, holder.home) == (process.pid, str(tmp_path))

        process.kill()
        process.wait()

        eventually(lambda: not psutil.pid_exists(state.pid))
        eventually(lambda: read_holder(database) is None)


@pytest.mark.slow
def test_the_daemon_alone_is_refused_where_a_platform_runs_on_the_database(database: Database, settings: Settings, tmp_path: Path) -> None:
    with PlatformLock(database, Path("/other/home"), utc_now()) as lock:
        lock.announce()

        assert "home /other/home" in refused(container_environ(settings, database, tmp_path), "dagster-daemon")


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("dagster-daemon", {"OMC_SANDBOX_URL": ""}, "OMC_SANDBOX_URL: must be the URL of sandbox"),
        ("sandbox", {}, "OMC_SANDBOX_URL points to another"),
        ("sandbox", {"OMC_PROFILE": "live", "OMC_SANDBOX_URL": ""}, "is not part of the profile live"),
        ("dagster-webserver", {"OMC_DATABASE_URL": ""}, "PostgreSQL is not running"),
        ("nothing", {}, "no service 'nothing'; choose one of"),
    ],
    ids=["no sandbox", "replaced", "other profile", "no server", "unknown"],
)
def test_a_service_that_can_not_run_alone_is_refused_in_one_line(
    settings: Settings, database: Database, tmp_path: Path, name: str, changes: dict[str, str], said: str
) -> None:
    assert said in refused({**environ_of(settings, tmp_path), **changes}, name)


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
