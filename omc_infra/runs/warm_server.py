"""The warm server: one process, one thread, no connection to any database; runs fork from it.

``python -m omc_infra.runs.warm_server --folder FOLDER --socket PATH --location MODULE ...`` is started by the launcher. The
socket takes questions before the preload is done; they are answered after it. When preloaded source changes, the server
executes itself anew in place: same process, same children, same connections.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from omc_infra.runs.children import Limits
from omc_infra.runs.forked import SystemFork
from omc_infra.runs.handover import Inheritance, inherited
from omc_infra.runs.listening import Listener
from omc_infra.runs.places import Places
from omc_infra.runs.preload import PreloadError, preload, unsafe_to_fork
from omc_infra.runs.serving import SIGNALS, Server
from omc_infra.runs.source_watch import SourceWatch

log = structlog.get_logger()
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Arguments:
    """What the command line says."""

    places: Places
    locations: tuple[str, ...]
    libraries: tuple[str, ...]
    limits: Limits
    will: int | None
    again: tuple[str, ...]
    """The command line without the will."""


def parse_arguments(words: Sequence[str]) -> Arguments:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m omc_infra.runs.warm_server", description="Runs fork from this process.")
    parser.add_argument("--folder", type=Path, required=True, help="private folder of locks and logs")
    parser.add_argument("--socket", type=Path, required=True, help="socket on which launchers connect")
    parser.add_argument("--location", action="append", default=[], help="module of a code location; may be repeated")
    parser.add_argument("--preload", action="append", default=[], help="library to import in advance; may be repeated")
    parser.add_argument("--max-children", type=int, default=8, help="maximum number of runs at the same time")
    parser.add_argument("--grace", type=float, default=10.0, help="seconds from SIGTERM to SIGKILL")
    parser.add_argument("--idle-exit", type=float, default=60.0, help="seconds after which an idle server without a launcher ends")
    parser.add_argument("--handover", type=int, help="file descriptor with the state of the previous image; the server sets it itself")
    known = parser.parse_args(words)
    again = list(words)
    if known.handover is not None:
        at = again.index("--handover")
        del again[at : at + 2]
    limits = Limits(known.max_children, known.grace, known.idle_exit)
    return Arguments(Places(known.folder, known.socket), tuple(known.location), tuple(known.preload), limits, known.handover, tuple(again))


class _StoppedError(BaseException):
    """SIGTERM came while preloading."""


def _stop_preloading(*_: object) -> None:
    raise _StoppedError


def main(words: Sequence[str] | None = None, system_fork: SystemFork | None = None) -> int:
    """Serve until told to stop, or nobody is left to serve; ``system_fork`` stands for ``os.fork`` in tests."""
    arguments = parse_arguments(sys.argv[1:] if words is None else words)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_preloading)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    inheritance = Inheritance(Listener.open(arguments.places, _PATIENCE_S)) if arguments.will is None else inherited(arguments.will)
    server = Server(arguments.places, arguments.limits, inheritance, arguments.again, system_fork)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        _prepare(server, arguments)
        server.take_signals()
    except _StoppedError:
        server.take_signals()
        server.stop()
    server.serve()
    return 0


def _prepare(server: Server, arguments: Arguments) -> None:
    started_ns, started = time.time_ns(), time.monotonic()
    refusal = None
    try:
        preload(arguments.locations, arguments.libraries)
        refusal = unsafe_to_fork(server.descriptors())
    except PreloadError as error:
        refusal = str(error)
    server.watch = SourceWatch(arguments.locations, started_ns)
    server.refusal = refusal
    if refusal:
        log.warning("the warm server takes no runs", reason=refusal)
    log.info("the warm server is ready", pid=os.getpid(), seconds=round(time.monotonic() - started, 2), generation=server.generation)


if __name__ == "__main__":
    sys.exit(main())
