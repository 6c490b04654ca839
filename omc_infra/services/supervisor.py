"""Children of a platform: started with a log file each, restarted when they die, stopped together."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import structlog

from omc_infra.private import PRIVATE_UMASK, private_folder
from omc_infra.signals import default_signals

log = structlog.get_logger()
_GRACE_S = 8.0
_RESTART_WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STABLE_AFTER_S = 60.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Service:
    """One process: its name, its command line, and its whole environment."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]


@dataclass(frozen=True)
class Started:
    """A process that was just started; ``restarts`` counts those of its service before it."""

    name: str
    pid: int
    restarts: int


@dataclass
class _Child:
    service: Service
    process: subprocess.Popen[bytes]
    started_at: float
    restarts: int = 0
    failures: int = 0
    restart_at: float | None = None


class Supervisor:
    """Run services in process groups of their own; a context manager that stops what it started.

    Args:
        log_folder: Each service writes ``<name>.log`` here, appended.
        cwd: Working folder of every child.
        when_started: Told of each process, at its first start and at each restart.
    """

    def __init__(self, log_folder: Path, cwd: Path, when_started: Callable[[Started], None] = lambda _started: None) -> None:
        self._log_folder = log_folder
        self._cwd = cwd
        self._when_started = when_started
        self._children: list[_Child] = []

    def __enter__(self) -> Supervisor:
        private_folder(self._log_folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def log_file(self, name: str) -> Path:
        """Return the file that a service writes to."""
        return self._log_folder / f"{name}.log"

    def start(self, service: Service) -> None:
        """Start a service; it is watched from now on."""
        self._children.append(_Child(service, self._spawn(service), time.monotonic()))
        self._tell(self._children[-1])

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
                self._try_again(child)

    def running(self, name: str) -> bool:
        """Say whether a service's process lives."""
        return any(child.service.name == name and child.process.poll() is None for child in self._children)

    def restart(self, name: str) -> None:
        """Kill a service with all it started and start it anew, at once; nothing where it is being restarted or never was started."""
        for child in self._children:
            if child.service.name == name and child.restart_at is None:
                self._try_again(child)
                child.failures = 0

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

    def _try_again(self, child: _Child) -> None:
        """Start a service again, later where the machine refuses, as a full disk or a limit does."""
        try:
            self._start_again(child)
        except OSError as error:
            child.restart_at = time.monotonic() + _RESTART_WAITS_S[-1]
            log.warning("service can't be started", service=child.service.name, reason=str(error))

    def _start_again(self, child: _Child) -> None:
        _signal_group(child.process, signal.SIGKILL)
        child.process.wait()
        child.process, child.started_at, child.restart_at = self._spawn(child.service), time.monotonic(), None
        child.restarts += 1
        self._tell(child)

    def _tell(self, child: _Child) -> None:
        self._when_started(Started(child.service.name, child.process.pid, child.restarts))

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        with self.log_file(service.name).open("ab") as output:
            return subprocess.Popen(
                list(service.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(service.environ),
                cwd=self._cwd,
                start_new_session=True,
                umask=PRIVATE_UMASK,
                preexec_fn=as_child_of(os.getpid()),  # noqa: PLW1509 system calls only
            )


def as_child_of(parent: int) -> Callable[[], None]:
    """Return what a child calls between fork and exec: it takes signals as a new program does, and on Linux it dies with its parent."""

    def prepare() -> None:
        default_signals()
        if sys.platform == "linux":
            _end_with_parent(parent)

    return prepare


def _end_with_parent(parent: int) -> None:
    """Ask Linux to kill this child when the thread of its parent that started it ends, however it ends.

    SIGKILL, because a code server takes seconds to end on SIGTERM, and none of the services has anything to save.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the request
        os.kill(os.getpid(), signal.SIGKILL)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
