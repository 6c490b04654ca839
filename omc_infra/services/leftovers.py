"""Processes of a platform that was killed: found by the mark in their environment, ended before a new one starts.

A daemon that outlives its supervisor would go on launching runs beside the new one. Children inherit the mark, so runs and
code servers are found as well. PostgreSQL is not a left-over: it has an owner of its own (``omc_infra.postgres.embedded``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

MARK = "PLATFORM_OF_OMC_HOME"


def mark(home: Path) -> dict[str, str]:
    """Return the variable by which a platform's processes are known."""
    return {MARK: str(home)}


def end_leftovers(home: Path) -> int:
    """Kill every process that an earlier platform of this home left behind; the caller holds the platform lock.

    Returns:
        How many were ended.
    """
    found = list(_marked(home))
    for process in found:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(found, timeout=10)
    return len(found)


def _marked(home: Path) -> Iterator[psutil.Process]:
    own = {psutil.Process().pid, *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        try:
            if process.pid not in own and process.environ().get(MARK) == str(home) and process.name() != "postgres":
                yield process
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
