"""A system that makes no more processes: the warm server lives on, and no run is lost to it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterRunStatus

from omc_infra.errors import MachineError
from omc_infra.postgres.database import Database
from omc_infra.runs.cold import start_process
from omc_infra.runs.forked import fork
from omc_infra.runs.places import Places
from omc_infra.runs.protocol import Order
from omc_infra.runs.routing import LAUNCHED_TAG
from omc_infra.settings import PROJECT_ROOT

sys.path.insert(0, str(Path(__file__).parent))

from warm_home import FIXTURES, WarmHome, eventually, python_path, warm_home

pytestmark = pytest.mark.slow

SERVER = """
import errno, os, sys
from pathlib import Path
from omc_infra.runs.warm_server import main

def fork():
    if Path(sys.argv[1]).exists():
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return os.fork()

sys.exit(main(sys.argv[2:], fork))
"""


@pytest.fixture
def exhausted(tmp_path: Path) -> Path:
    """A file; as long as it exists, the warm server's system makes no more processes."""
    file = tmp_path / "exhausted"
    file.touch()
    return file


@pytest.fixture
def warm(tmp_path: Path, exhausted: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[WarmHome]:
    """A home whose warm server can't fork while ``exhausted`` exists."""
    monkeypatch.setenv("PYTHONPATH", python_path(FIXTURES))
    with warm_home(tmp_path / "home", database) as home:
        words = home.launcher._client._command.words[3:]
        server = subprocess.Popen([sys.executable, "-c", SERVER, str(exhausted), *words], cwd=PROJECT_ROOT)
        eventually(lambda: bool(home.launcher._client.ask("status")), "the server to answer")
        yield home
    server.wait(30)


def test_a_run_whose_fork_fails_gets_a_process_of_its_own_and_the_server_forks_the_next_one(warm: WarmHome, exhausted: Path) -> None:
    server = warm.server()["pid"]
    unlucky = warm.launch("light")

    assert warm.ended(unlucky) is DagsterRunStatus.SUCCESS
    assert warm.run(unlucky).tags[LAUNCHED_TAG] == "process"
    eventually(lambda: not warm.process(unlucky).lives, "its process to end")
    assert f"the system makes no more processes: {os.strerror(errno.EAGAIN)}" in warm.messages(unlucky)

    exhausted.unlink()
    lucky = warm.launch("light")
    assert warm.ended(lucky) is DagsterRunStatus.SUCCESS
    assert warm.run(lucky).tags[LAUNCHED_TAG] == "warm"
    assert warm.server()["pid"] == server


def test_a_dead_run_is_reported_as_soon_as_the_system_makes_processes_again(warm: WarmHome, exhausted: Path, tmp_path: Path) -> None:
    exhausted.unlink()
    run_id = warm.launch_waiting(60, tmp_path / "mark")
    exhausted.touch()

    warm.process(run_id).send(signal.SIGKILL)
    eventually(lambda: warm.server()["unreported"] == 1, "the server to notice")
    assert not warm.run(run_id).is_finished
    exhausted.unlink()

    assert warm.ended(run_id) is DagsterRunStatus.FAILURE


def test_a_server_whose_fork_failed_still_ends_by_a_signal(warm: WarmHome) -> None:
    server = warm.server()["pid"]
    run_id = warm.launch("light")
    warm.ended(run_id)
    eventually(lambda: not warm.process(run_id).lives, "its process to end")

    os.kill(server, signal.SIGTERM)

    eventually(lambda: warm.launcher._client.ask("status") is None, "the server to end")


def test_a_fork_that_fails_leaves_signals_as_they_were() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])

    with pytest.raises(OSError, match=os.strerror(errno.ENOMEM)):
        fork(lambda: 0, _no_memory)

    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_an_ordinary_process_that_can_not_be_started_is_one_clear_line(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path / "socket")
    (tmp_path / "runs").mkdir()

    with pytest.raises(MachineError, match="can't start a process for run abc: No such file or directory"):
        start_process(Order("abc", "{}"), places, executable=str(tmp_path / "no-python"))


def _no_memory() -> int:
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
