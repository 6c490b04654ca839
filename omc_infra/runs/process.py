"""A run's process by pid and start time, written down where any process of this machine can check on it.

A pid alone may belong to a stranger after a while; with the time it was started it does not.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

_SHOWN = 8
"""Characters of a run's id in a tag, as the Dagster UI shows them."""
_TAG = re.compile(r"pid (?P<pid>\d{1,10}) on (?P<host>.+), started (?P<started>\d+(?:\.\d+)?), run (?P<run>\S{1,8})", re.ASCII)
_PROC = Path("/proc")
"""On Linux; elsewhere there is no such folder."""


@dataclass(frozen=True)
class RunProcess:
    """Which process executes a run.

    Attributes:
        started: On Linux the clock ticks since boot, which no change of the clock moves; else seconds since 1970.
    """

    run_id: str
    host: str
    pid: int
    started: float

    @classmethod
    def current(cls, run_id: str) -> RunProcess:
        """Describe this process."""
        return cls(run_id, socket.gethostname(), os.getpid(), started_at(os.getpid()) or 0.0)

    def as_tag(self) -> str:
        """Write the value of a run's tag, as a person reads it in a list of runs."""
        return f"pid {self.pid} on {self.host}, started {_json_value(self.started)}, run {self.run_id[:_SHOWN]}"

    @classmethod
    def of_tag(cls, text: str | None, run_id: str) -> RunProcess | None:
        """Read a tag; None where there is none, or it is of another run (a retry has its parent's tags at first)."""
        found = _TAG.fullmatch(text or "")
        if found is None or found["run"] != run_id[:_SHOWN]:
            return None
        return cls(run_id, found["host"], int(found["pid"]), float(found["started"]))

    @property
    def is_here(self) -> bool:
        """Say whether it is a process of this machine."""
        return self.host == socket.gethostname()

    @property
    def lives(self) -> bool:
        """Say whether it still runs; a zombie does not."""
        return self.is_here and started_at(self.pid) == self.started

    def send(self, number: signal.Signals) -> bool:
        """Send a signal and say whether the process was there; SIGKILL goes to all it started as well."""
        if not self.lives:
            return False
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                kill_group(self.pid)
            os.kill(self.pid, number)
        return True


def _json_value(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(number)


def kill_group(leader: int) -> None:
    """Kill a run's process group, its leader dead or alive; a run leads a group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def started_at(pid: int) -> float | None:
    """Return when a process was started, in the unit of ``RunProcess.started``; None for none or a zombie."""
    return _ticks_of(pid) if _PROC.is_dir() else _seconds_of(pid)


def _ticks_of(pid: int) -> float | None:
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else float(fields[19])


def _seconds_of(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def name_process(name: str) -> None:
    """Show a name in ``ps -o comm`` and ``top``; Linux only, at most 15 characters."""
    with contextlib.suppress(OSError):
        (_PROC / "self/comm").write_text(name)
