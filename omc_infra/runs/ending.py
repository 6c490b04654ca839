"""End a run's process by its pid when no server does it: SIGTERM, then SIGKILL to its group, then a report to Dagster."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

from omc_infra.runs.process import RunProcess

if TYPE_CHECKING:
    from dagster import DagsterInstance

_LOOK_S = 0.1


def end_process(instance: DagsterInstance, process: RunProcess, grace_s: float) -> bool:
    """Ask a process to end and say whether it was there; a thread kills it where it still lives after its grace."""
    if not process.send(signal.SIGTERM):
        return False
    threading.Thread(target=_insist, args=(instance, process, grace_s), name=f"ends-{process.run_id[:8]}", daemon=True).start()
    return True


def _insist(instance: DagsterInstance, process: RunProcess, grace_s: float) -> None:
    deadline = time.monotonic() + grace_s
    while process.lives:
        if time.monotonic() > deadline:
            process.send(signal.SIGKILL)
            run = instance.get_run_by_id(process.run_id)
            if run is not None and not run.is_finished:
                instance.report_run_canceled(run, f"Its process did not end within {grace_s:.0f} s of the request and was killed.")
            return
        time.sleep(_LOOK_S)
