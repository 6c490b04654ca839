"""Report to Dagster a run whose process ended without an outcome, with its exit status and last output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omc_infra.runs.outcome import forget_unreached_checks
from omc_infra.runs.places import tail
from omc_infra.runs.protocol import Order

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun


def report_death(order: Order, pid: int, exit_code: int, log: Path) -> bool:
    """Give the run its outcome: failed, canceled where that was asked for, left to run monitoring where that will resume it.

    Args:
        order: The run.
        pid: Its process.
        exit_code: Exit status, or minus the number of the signal that ended it.
        log: What the process printed.

    Returns:
        Whether the run had no outcome yet.
    """
    from omc_infra.runs.lean_instance import open_lean_instance

    with open_lean_instance(order.instance_ref) as instance:
        run = instance.get_run_by_id(order.run_id)
        if run is None or run.is_finished:
            return False
        _report(instance, run, _explanation(order, pid, exit_code), tail(log))
        return True


def _report(instance: DagsterInstance, run: DagsterRun, message: str, last_words: str) -> None:
    from dagster import DagsterRunStatus
    from dagster._core.events import JobFailureData, RunFailureReason

    if last_words:
        instance.report_engine_event(f"The run's process printed last:\n{last_words}", run)
    if run.status is DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, message)
    elif run.status is DagsterRunStatus.STARTED and instance.run_will_resume(run.run_id):
        instance.report_engine_event(f"{message} Run monitoring will resume it.", run)
    else:
        instance.report_run_failed(run, message, JobFailureData(error=None, failure_reason=RunFailureReason.UNEXPECTED_TERMINATION))
        forget_unreached_checks(instance, run.run_id)


def _explanation(order: Order, pid: int, exit_code: int) -> str:
    from dagster._utils import get_run_crash_explanation

    return get_run_crash_explanation(f"The {order.launched} process of the run (pid {pid})", exit_code)
