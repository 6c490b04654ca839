"""A service whose own helpers were killed is told once, and is looked at afresh when it runs again."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from omc_infra.platform.helpers import LostHelpers
from omc_infra.platform.supervisor import Service, Supervisor

HELPER = "import time; time.sleep(60)  # a helper of the test"
SERVICE = f"import subprocess, sys, time; [subprocess.Popen([sys.executable, '-c', {HELPER!r}]) for _ in range(2)]; time.sleep(60)"


def test_lost_helpers_are_told_once_and_a_new_service_starts_whole(tmp_path: Path) -> None:
    with Supervisor(tmp_path, dict(os.environ), tmp_path) as supervisor:
        supervisor.start(Service("parent", [sys.executable, "-c", SERVICE]))
        lost = LostHelpers(supervisor, "parent", "a helper of the test", patience_s=0.3, look_s=0.05)
        eventually(lambda: not lost.are_gone() and len(helpers(supervisor)) == 2)
        time.sleep(0.2)
        assert not lost.are_gone()

        helpers(supervisor)[0].kill()
        eventually(lost.are_gone)
        time.sleep(0.5)
        assert not lost.are_gone()

        first = supervisor.pid("parent")
        supervisor.end("parent")
        eventually(lambda: bool(list(supervisor.watch())) or supervisor.pid("parent") not in (None, first))
        eventually(lambda: not list(supervisor.watch()) and supervisor.pid("parent") not in (None, first) and len(helpers(supervisor)) == 2)
        assert not lost.are_gone()


def helpers(supervisor: Supervisor) -> list[psutil.Process]:
    pid = supervisor.pid("parent")
    return [] if pid is None else [child for child in psutil.Process(pid).children() if child.status() != psutil.STATUS_ZOMBIE]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.06)
