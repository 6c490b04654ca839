"""Client of the warm server for a launcher: find or start it, launch a run, keep it alive with an open connection."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from omc_infra.errors import RetryableError
from omc_infra.postgres.credentials import without_logins
from omc_infra.private import PRIVATE_UMASK
from omc_infra.runs.places import Places, places_of
from omc_infra.runs.process import started_at
from omc_infra.runs.protocol import NO, Conversation, Order, ask, line_of, permission
from omc_infra.runs.sweep import end_run_processes
from omc_infra.signals import default_signals

log = structlog.get_logger()
_REACH_S = 10.0
"""Interpreter to listening socket; the preload comes after."""
_ANSWER_S = 2.0
_ATTEMPTS = 2
_LAST_GRACE_S = 5.0
_LONGEST_LOG = 5_000_000
_AFTER_FAILURE_S = 15.0
"""A server that cannot start must not hold up every launch."""


class WarmServerUnavailableError(RetryableError):
    """No run can be started warm now; the message says why."""

    advice = "Nothing: the run starts in a new process instead. If it happens at every run, start the platform again."


@dataclass(frozen=True)
class ServerCommand:
    """How a server is started: see ``warm_server.parse_arguments``."""

    places: Places
    options: Sequence[str]

    @property
    def words(self) -> list[str]:
        """Return the command line."""
        here = ["--folder", str(self.places.folder), "--socket", str(self.places.socket)]
        return [sys.executable, "-m", "omc_infra.runs.warm_server", *here, *self.options]


class WarmClient:
    """One launcher's connections to the server of its Dagster home."""

    def __init__(self, command: ServerCommand) -> None:
        self._command = command
        self._places = command.places
        self._lease: Conversation | None = None
        self._lock = threading.Lock()
        self._try_again_at = 0.0

    def warm_up(self) -> None:
        """Start the server where none runs, without waiting for its preload, and let it know that somebody is here.

        Raises:
            OSError: It does not start, or ended at once.
            WarmServerUnavailableError: Another launcher is starting it and takes long.
        """
        with self._lock:
            if self._lease is None or not self._lease.is_open():
                self.close()
                self._lease = self._reach()
                self._lease.say(line_of({"ask": "lease"}))

    def launch(self, order: Order, timeout_s: float, when_lost: Callable[[], None], variables: Mapping[str, str] | None = None) -> str:
        """Have a run started.

        Args:
            order: The run.
            timeout_s: How long the server may take to answer: its preload, if it was just started.
            when_lost: Called from another thread where the run had to wait and the server died meanwhile, or refuses it.
            variables: Logins and other secrets that the run's own process is given; the server doesn't see them.

        Returns:
            ``started``, ``running`` where it already was, or ``waiting``.

        Raises:
            WarmServerUnavailableError: Nobody has started the run or will.
        """
        reason = ""
        if time.monotonic() < self._try_again_at:
            raise WarmServerUnavailableError(f"the warm server could not be started a moment ago; see {self._places.server_log}")
        for _ in range(_ATTEMPTS):
            try:
                self.warm_up()
                return self._launch_once(order, timeout_s, when_lost, permission(variables or {}))
            except TimeoutError:
                raise WarmServerUnavailableError(f"the warm server did not answer within {timeout_s:.0f} s") from None
            except OSError as error:
                reason = str(error)
        self._try_again_at = time.monotonic() + _AFTER_FAILURE_S
        raise WarmServerUnavailableError(f"{reason}; see {self._places.server_log}")

    def _launch_once(self, order: Order, timeout_s: float, when_lost: Callable[[], None], word: bytes) -> str:
        conversation = self._reach()
        state = ""
        try:
            state = _negotiate(conversation, order, timeout_s, word)
        except TimeoutError:
            with contextlib.suppress(OSError):
                conversation.say(NO)
            raise
        finally:
            if state != "waiting":
                conversation.close()
        if state == "waiting":
            threading.Thread(target=_follow, args=(conversation, when_lost, word), name=f"waits-{order.run_id[:8]}", daemon=True).start()
        return state

    def ask(self, question: str, run_id: str = "") -> dict[str, Any] | None:
        """Put a question about a run to a server that may not run; never starts one."""
        return ask(self._places.socket, {"ask": question, "run_id": run_id}, _ANSWER_S)

    def close(self) -> None:
        """Let go of the server: without any launcher it ends after a while."""
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def _reach(self) -> Conversation:
        with contextlib.suppress(OSError):
            return Conversation(self._places.socket, _ANSWER_S)
        deadline = time.monotonic() + _REACH_S
        with _only_one_starts(self._places, deadline):
            process: subprocess.Popen[bytes] | None = None
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    return Conversation(self._places.socket, _ANSWER_S)
                if process is None:
                    process = self._start()
                elif process.poll() is not None:
                    raise ConnectionRefusedError(f"the warm server ended with status {process.returncode}")
                time.sleep(0.02)
        raise ConnectionRefusedError("the warm server cannot be reached")

    def _start(self) -> subprocess.Popen[bytes]:
        if self._places.server_log.is_file() and self._places.server_log.stat().st_size > _LONGEST_LOG:
            self._places.server_log.replace(self._places.server_log.with_suffix(".log.1"))
        with self._places.server_log.open("ab") as output:
            process = subprocess.Popen(
                self._command.words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=PRIVATE_UMASK,
                preexec_fn=default_signals,  # noqa: PLW1509 system calls only
                env=without_logins(os.environ),
            )
        log.debug("started the warm server", pid=process.pid)
        threading.Thread(target=process.wait, name="warm-server-reaper", daemon=True).start()
        return process


@contextmanager
def bounded_runs(dagster_home: Path) -> Iterator[None]:
    """End all runs and the warm server when the block ends; for a block in which the database runs."""
    try:
        yield
    finally:
        end_runs(dagster_home)


def end_runs(dagster_home: Path, timeout_s: float = 15.0) -> None:
    """End the warm server of a Dagster home and every process of its runs, after all that could launch another.

    Args:
        dagster_home: Whose.
        timeout_s: How long the server has to end its runs; what then still lives is killed.
    """
    places = places_of(dagster_home)
    found = ask(places.socket, {"ask": "stop"}, timeout_s)
    deadline = time.monotonic() + timeout_s
    while found is not None and started_at(found["pid"]) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    end_run_processes(places.folder, _LAST_GRACE_S)


def _negotiate(conversation: Conversation, order: Order, timeout_s: float, word: bytes) -> str:
    conversation.say(line_of({"ask": "launch", **order.as_document()}))
    answer = conversation.hear(timeout_s)
    if answer["state"] == "refused":
        raise WarmServerUnavailableError(str(answer["reason"]))
    if answer["state"] == "started":
        _let_go(conversation, word)
    return str(answer["state"])


def _let_go(conversation: Conversation, word: bytes) -> None:
    """Give the child its word; a child that has died is the server's to report, so the run counts as started either way."""
    with contextlib.suppress(OSError):
        conversation.say(word)


def _follow(conversation: Conversation, when_lost: Callable[[], None], word: bytes) -> None:
    """Wait with a run that waits, so that it is never forgotten by a server that died."""
    state = "lost"
    with conversation, contextlib.suppress(OSError):
        state = conversation.hear(None)["state"]
        if state == "started":
            _let_go(conversation, word)
    if state in {"lost", "refused"}:
        when_lost()


@contextmanager
def _only_one_starts(places: Places, deadline: float) -> Iterator[None]:
    with places.start_lock.open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise WarmServerUnavailableError("another launcher is starting the warm server") from None
                time.sleep(0.02)
        yield
