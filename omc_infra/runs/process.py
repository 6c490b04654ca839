"""A run's process by pid and start time, written down where any process of this machine can check on it.

A pid alone may belong to a stranger after a while; with the time it was started it does not.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

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
        """Write the value of a run's tag."""
        return json.dumps(asdict(self))

    @classmethod
    def of_tag(cls, text: str | None, run_id: str) -> RunProcess | None:
        """Read a tag; None where there is none, or it is of another run (a retry has its parent's tags at first)."""
        try:
            fields = json.loads(text or "{}")
            found = cls(str(fields["run_id"]), str(fields["host"]), int(fields["pid"]), float(fields["started"]))
        except (ValueError, KeyError, TypeError):
            return None
        return found if found.run_id == run_id else None

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


def kill_group(leader: int) -> None:
    """Kill a run's process group, its leader dead or alive; a run leads a group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def started_at(pid: int) -> float | None:
    """Answer when a process was started, in the unit of ``RunProcess.started``; None for none or a zombie."""
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
