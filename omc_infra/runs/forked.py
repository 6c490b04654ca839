"""What a forked process does first: become a process of its own, so that it and the server cannot harm each other."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from omc_infra.runs.process import name_process

_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_FAILED = 1

SystemFork = Callable[[], int]


def fork(task: Callable[[], int], system_fork: SystemFork | None = None) -> int:
    """Fork a process that does one task and exits with its answer; answer the pid.

    Signals stay blocked in it until ``leave_home``: one sent at once must not be lost to the server's handlers. The server's own
    exit handlers, buffers and ``finally`` blocks do not run in the new process.

    Args:
        task: Returns the exit status.
        system_fork: Instead of ``os.fork``, for tests.

    Raises:
        OSError: The system makes no more processes (their number, memory); this process is as it was.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        pid = os.fork() if system_fork is None else system_fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        raise
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return pid
    status = _FAILED
    try:
        status = task()
        _join_threads()
    except BaseException:  # noqa: BLE001 nobody is above a forked process to print what it raises
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def leave_home(name: str, log: Path) -> None:
    """Lead a session, take signals as a new process does, write to a log, and draw other random numbers than siblings.

    The kernel is told to end this process before the server where memory runs out.
    """
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    faulthandler.enable(output)  # its own descriptor: during a step 1 and 2 are that step's
    name_process(name)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    _forget_server_state()


def _forget_server_state() -> None:
    import structlog

    structlog.contextvars.clear_contextvars()
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _join_threads() -> None:
    import threading

    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
