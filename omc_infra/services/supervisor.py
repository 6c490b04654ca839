"""Children of a platform: started with a log file each, restarted when they die, stopped together."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import structlog

log = structlog.get_logger()
_GRACE_S = 8.0
_RESTART_WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STABLE_AFTER_S = 60.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Service:
    """One process: its name, its command line, and the variables it gets beside the platform's."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Child:
    service: Service
    process: subprocess.Popen[bytes]
    started_at: float
    failures: int = 0
    restart_at: float | None = None


class Supervisor:
    """Run services in process groups of their own; a context manager that stops what it started.

    Args:
        log_folder: Each service writes ``<name>.log`` here, appended.
        environ: Variables of every child, complete.
        cwd: Working folder of every child.
    """

    def __init__(self, log_folder: Path, environ: Mapping[str, str], cwd: Path) -> None:
        self._log_folder = log_folder
        self.environ: Mapping[str, str] = dict(environ)
        self._cwd = cwd
        self._children: list[_Child] = []

    def __enter__(self) -> Supervisor:
        self._log_folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def log_file(self, name: str) -> Path:
        """Answer where a service writes."""
        return self._log_folder / f"{name}.log"

    def start(self, service: Service) -> None:
        """Start a service; it is watched from now on."""
        self._children.append(_Child(service, self._spawn(service), time.monotonic()))

    def watch(self) -> Iterator[str]:
        """Yield the name of each service that ended since the last look, and restart it after a growing wait.

        Meant to be called every second or so; never blocks.
        """
        now = time.monotonic()
        for child in self._children:
            if child.restart_at is None and child.process.poll() is not None:
                if now - child.started_at > _STABLE_AFTER_S:
                    child.failures = 0
                child.restart_at = now + _RESTART_WAITS_S[min(child.failures, len(_RESTART_WAITS_S) - 1)]
                child.failures += 1
                log.debug(
                    "service ended", service=child.service.name, status=child.process.returncode, log=str(self.log_file(child.service.name))
                )
                yield child.service.name
            elif child.restart_at is not None and now >= child.restart_at:
                _signal_group(child.process, signal.SIGKILL)
                child.process, child.started_at, child.restart_at = self._spawn(child.service), now, None

    def running(self, name: str) -> bool:
        """Say whether a service's process lives."""
        return any(child.service.name == name and child.process.poll() is None for child in self._children)

    def restart(self, name: str) -> None:
        """Kill a service with all it started and start it anew, at once; nothing where it is being restarted or never was started."""
        for child in self._children:
            if child.service.name == name and child.restart_at is None:
                _signal_group(child.process, signal.SIGKILL)
                child.process.wait()
                child.process, child.started_at, child.failures = self._spawn(child.service), time.monotonic(), 0

    def stop(self) -> None:
        """Stop all services, last started first: SIGTERM, then SIGKILL to whole process groups."""
        children = list(reversed(self._children))
        for child in children:
            _signal_group(child.process, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, deadline - time.monotonic()))
        for child in children:
            _signal_group(child.process, signal.SIGKILL)
            child.process.wait()
        self._children.clear()

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        with self.log_file(service.name).open("ab") as output:
            return subprocess.Popen(
                list(service.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self.environ, **service.environ},
                cwd=self._cwd,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 calls one C function, takes no lock
            )


def _end_with_parent() -> None:
    """Ask Linux to send SIGTERM to this child when its parent dies, however it dies; runs between fork and exec."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
