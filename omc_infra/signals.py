"""Signals as a command takes them, whatever whoever started it had ignored or blocked.

A shell script starts what it puts in the background with SIGINT ignored, ``nohup`` ignores SIGHUP, and a blocked signal stays blocked in
every child. None of that may make a command, or a process that it starts, deaf.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
from pathlib import Path

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OF_A_PROGRAM = (*ENDING, signal.SIGCHLD, signal.SIGQUIT)


class InterruptedCommandError(KeyboardInterrupt):
    """A signal asked this process to end; ``status`` is the exit status that a shell expects."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


def default_signals() -> None:
    """Take signals as a freshly started program does; called in a child between fork and exec, so it only makes system calls."""
    for number in _OF_A_PROGRAM:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def raise_on_ending_signals() -> None:
    """Turn Ctrl-C, SIGTERM and a hang-up into ``InterruptedCommandError``, so that a command releases what it holds.

    A hang-up that is ignored, as by ``nohup``, stays ignored. For the main thread of a command.
    """
    for number in ending_signals():
        signal.signal(number, _interrupt)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def ending_signals() -> list[signal.Signals]:
    """Return the signals that end a command: all but a hang-up that whoever started it ignores."""
    return [number for number in ENDING if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN]


def leave_terminal() -> None:
    """Write no more to a terminal that has hung up: each write to it would fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if _is_terminal(stream.fileno()):  # type: ignore[union-attr]
                os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
    os.close(nowhere)


def _interrupt(number: int, _frame: object) -> None:
    if number == signal.SIGHUP:
        leave_terminal()
    raise InterruptedCommandError(number)


def _is_terminal(file: int) -> bool:
    """Say whether a file is a terminal; one that has hung up no longer answers as one, but it is still a device."""
    found = os.fstat(file)
    return stat.S_ISCHR(found.st_mode) and not os.path.samestat(found, Path(os.devnull).stat())
