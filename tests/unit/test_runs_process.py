"""A run's process, known by pid and start time."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from omc_infra.runs.process import RunProcess, kill_group, started_at

CODE = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


class Sleeper:
    """A process that leads a group, with a child of its own in it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", CODE], start_new_session=True, stdout=subprocess.PIPE)
        assert self.process.stdout
        self.child = int(self.process.stdout.readline())

    def describe(self, **changes: object) -> RunProcess:
        """Return what its tag would say, with changes."""
        pid = self.process.pid
        return dataclasses.replace(RunProcess("r", socket.gethostname(), pid, started_at(pid) or 0.0), **changes)


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    started = Sleeper()
    with started.process:
        yield started
        kill_group(started.process.pid)


def test_a_process_survives_the_way_through_a_tag() -> None:
    process = RunProcess.current("r")

    assert RunProcess.of_tag(process.as_tag(), "r") == process
    assert process.pid == os.getpid()
    assert process.lives


@pytest.mark.parametrize("tag", [None, "", "nonsense", "[]", '{"run_id": "r"}', '{"run_id": "r", "host": "h", "pid": "x", "started": 1}'])
def test_a_tag_that_says_nothing_is_no_process(tag: str | None) -> None:
    assert RunProcess.of_tag(tag, "r") is None


def test_the_tag_of_a_process_is_short_and_readable_and_holds_the_exact_start() -> None:
    for started in (4738291.0, 1795772345.123457):
        process = RunProcess("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "host.example, with a comma", 4711, started)

        tag = process.as_tag()

        assert tag.startswith("pid 4711 on host.example, with a comma, started ")
        assert not set(tag) & set('{}"')
        assert RunProcess.of_tag(tag, process.run_id) == process


def test_the_tag_a_retry_has_from_its_parent_is_not_its_process() -> None:
    assert RunProcess.of_tag(RunProcess.current("parent").as_tag(), "retry") is None


def test_a_stranger_with_the_same_pid_is_neither_alive_nor_signalled(sleeper: Sleeper) -> None:
    stranger = sleeper.describe(started=1.0)

    assert not stranger.lives
    assert not stranger.send(signal.SIGKILL)
    assert sleeper.process.poll() is None


def test_a_process_of_another_machine_is_not_ours_to_judge(sleeper: Sleeper) -> None:
    assert not sleeper.describe(host="elsewhere").lives


def test_killing_a_run_kills_what_it_started(sleeper: Sleeper) -> None:
    assert sleeper.describe().send(signal.SIGKILL)

    deadline = time.monotonic() + 10
    while started_at(sleeper.child) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert started_at(sleeper.child) is None


def test_a_zombie_does_not_live(sleeper: Sleeper) -> None:
    process = sleeper.describe()

    os.kill(sleeper.process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.process.pid, os.WEXITED | os.WNOWAIT)

    assert not process.lives
