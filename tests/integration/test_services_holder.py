"""One platform a database: the second is refused and told who holds it, and the lock falls with its holder."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from omc_infra.clock import utc_now
from omc_infra.postgres import embedded
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate
from omc_infra.services.holder import PlatformLock, PlatformTakenError, read_holder
from omc_infra.settings import PROJECT_ROOT, Settings

HOLD = """
import sys, time
from pathlib import Path
from omc_infra.clock import utc_now
from omc_infra.postgres.database import open_database
from omc_infra.services.holder import PlatformLock
from omc_infra.settings import load_settings

settings = load_settings()
with open_database(settings) as database, PlatformLock(database, Path(sys.argv[1]), utc_now()) as lock:
    lock.announce()
    print("held", flush=True)
    time.sleep(600)
"""
END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'omc platform' AND datname = current_database()"


@contextmanager
def held_elsewhere(settings: Settings, home: str) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock, as the platform of another home would."""
    environ = {**{name: value for name, value in os.environ.items() if not name.startswith("OMC_")}, **settings.environ()}
    process = subprocess.Popen([sys.executable, "-c", HOLD, home], env=environ, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()


def lock_of(database: Database, home: str = "/own") -> PlatformLock:
    return PlatformLock(database, Path(home), utc_now())


def end_session(database: Database) -> None:
    """Close the holder's session, as a restart of the server does."""
    with database.address.administer() as admin:
        assert admin.execute(END).rowcount == 1


def test_a_second_platform_is_refused_with_the_holder_named(database: Database, settings: Settings) -> None:
    with held_elsewhere(settings, "/elsewhere") as other:
        said = f"process {other.pid} on {re.escape(socket.gethostname())}, home /elsewhere, since {utc_now():%Y-%m-%d}"

        with pytest.raises(PlatformTakenError, match=said), lock_of(database):
            pass


def test_the_lock_falls_with_a_killed_holder(database: Database, settings: Settings) -> None:
    with held_elsewhere(settings, "/elsewhere") as other:
        os.kill(other.pid, signal.SIGKILL)

        with lock_of(database) as lock:
            lock.announce()
            holder = read_holder(database)

    assert holder is not None
    assert (holder.home, holder.pid) == ("/own", os.getpid())
    assert read_holder(database) is None


def test_a_holder_whose_session_is_lost_takes_the_lock_again(database: Database) -> None:
    with lock_of(database) as lock:
        lock.announce()
        assert lock.keep() is False
        end_session(database)

        assert lock.keep() is True
        assert lock.keep() is False
        assert read_holder(database) is not None
        with pytest.raises(PlatformTakenError), lock_of(database, "/second"):
            pass


def test_a_holder_notices_that_another_platform_took_the_lock_meanwhile(database: Database, settings: Settings) -> None:
    with lock_of(database) as lock:
        lock.announce()
        end_session(database)

        with held_elsewhere(settings, "/successor"), pytest.raises(PlatformTakenError, match="home /successor"):
            lock.keep()


@pytest.mark.slow
def test_a_restart_of_postgresql_does_not_end_the_platform(tmp_path: Path) -> None:
    with open_database(Settings(home=tmp_path), check=False, durable=False) as database, lock_of(database) as lock:
        migrate(database)
        lock.announce()
        server = embedded.found(tmp_path)
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)
        await_end(server.pid)

        assert lock.keep() is False  # it does not answer; asked again later
        with embedded.running(tmp_path, durable=False):
            deadline = time.monotonic() + 30
            while not lock.keep():
                assert time.monotonic() < deadline
                time.sleep(0.2)

            assert read_holder(database) is not None


def await_end(pid: int) -> None:
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
