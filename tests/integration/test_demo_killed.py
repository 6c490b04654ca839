"""``kill -9`` of the demo's parts at random moments: the next demo completes, and every event has exactly one brief."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from demo_process import column, run_demo, start_demo

from omc_infra.services.leftovers import MARK

_UNBRIEFED = """
SELECT o.event_id FROM catalyst.outbox o LEFT JOIN agents.brief b USING (source, event_id)
WHERE o.recorded_at - o.published_at <= interval '24 hours' AND b.event_id IS NULL
"""
_EARLIEST_S, _LATEST_S, _RUN_WAIT_S = 3.0, 18.0, 240.0


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_demo_killed_at_random_moments_is_followed_by_one_that_completes(tmp_path: Path) -> None:
    dice = random.Random()
    for victim in ("demo", "dagster-daemon", "postgres", "run", "all"):
        _kill_during_a_demo(tmp_path, victim, after_s=dice.uniform(_EARLIEST_S, _LATEST_S))

    run_demo(tmp_path)

    assert column(tmp_path, _UNBRIEFED) == []
    assert max(Counter(column(tmp_path, "SELECT event_id FROM agents.brief")).values()) == 1


def _kill_during_a_demo(home: Path, victim: str, *, after_s: float) -> None:
    process = start_demo(home)
    try:
        if victim == "run":
            assert _is_met(lambda: any(_victims(home, process.pid, "run")), _RUN_WAIT_S), "no run was ever seen"
        else:
            time.sleep(after_s)
        for found in list(_victims(home, process.pid, victim)):
            os.kill(found, signal.SIGKILL)
        time.sleep(0.5)
    finally:
        process.kill()
        process.wait()


def _is_met(condition: Callable[[], bool], longest_s: float) -> bool:
    deadline = time.monotonic() + longest_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def _victims(home: Path, demo: int, victim: str) -> Iterator[int]:
    """Yield the processes of one kind: those that carry the platform's mark, PostgreSQL on the home's folder, the demo itself."""
    if victim in ("demo", "all"):
        yield demo
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            marked, name = process.environ().get(MARK) == str(home), process.name()
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        is_server = str(home / "postgres") in line
        is_run = marked and (name == "omc-run" or "execute_run" in line)
        if (
            (victim == "dagster-daemon" and marked and "dagster-daemon" in line)
            or (victim == "postgres" and is_server)
            or (victim == "run" and is_run)
            or (victim == "all" and (marked or is_server))
        ):
            yield process.pid
