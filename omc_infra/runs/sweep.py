"""Run processes that no server and no launcher watches any more: found by their command line, ended with their platform."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil

from omc_infra.runs.process import kill_group

_MODULES = {"omc_infra.runs.warm_server", "omc_infra.runs.worker"}


def end_run_processes(folder: Path, grace_s: float) -> int:
    """Ask every run process of a warm server's folder to end, kill those that have not after their grace, answer how many.

    A forked process has the command line of the server it came from, an ordinary one names the folder for this purpose.
    """
    found = list(_run_processes(folder))
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(found, timeout=grace_s)
    for process in alive:
        kill_group(process.pid)
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=grace_s)
    return len(found)


def _run_processes(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            continue
        if str(folder) in words and _MODULES & set(words):
            yield process
