"""The outcome of a run as people read it: what was interrupted is canceled, not failed, and a check that never ran has not failed.

Dagster takes a run that ends by a signal for a failed one unless somebody asked for its end in the UI, and shows each check that a
failed run had planned as "Execution failed", although its step was never reached. A check without a record of the run shows its
last result, or that it was not run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import AssetCheckKey, DagsterInstance, DagsterRun

INTERRUPTED = "Interrupted: its platform or its command ended."


def settle(instance: DagsterInstance, run_id: str) -> DagsterRun | None:
    """Turn the failure of an interrupted run into a cancellation, and forget the checks that a failed run never reached.

    Returns:
        The run as it stands now, or None where it doesn't exist.
    """
    from dagster import DagsterRunStatus

    run = instance.get_run_by_id(run_id)
    if run is None or run.status is not DagsterRunStatus.FAILURE:
        return run
    forget_unreached_checks(instance, run_id)
    if _was_interrupted(run):
        instance.report_run_canceled(run, INTERRUPTED)
        return instance.get_run_by_id(run_id)
    return run


def forget_unreached_checks(instance: DagsterInstance, run_id: str) -> int:
    """Delete a run's records of checks that were planned and whose step neither ran nor failed.

    Returns:
        How many checks it never reached.
    """
    from dagster._core.storage.event_log import SqlEventLogStorage
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as Records

    unreached, storage = _unreached(instance, run_id), instance.event_log_storage
    if not unreached or not isinstance(storage, SqlEventLogStorage):
        return 0
    with storage.index_connection() as connection:
        for key in unreached:
            mine = (Records.c.asset_key == key.asset_key.to_string()) & (Records.c.check_name == key.name) & (Records.c.run_id == run_id)
            connection.execute(Records.delete().where(mine & (Records.c.execution_status == "PLANNED")))
    return len(unreached)


def _unreached(instance: DagsterInstance, run_id: str) -> list[AssetCheckKey]:
    from dagster import DagsterEventType

    failed = {entry.step_key for entry in instance.all_logs(run_id, of_type=DagsterEventType.STEP_FAILURE)}
    planned = [entry for entry in instance.all_logs(run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED) if entry.dagster_event]
    return [
        entry.dagster_event.asset_check_planned_data.asset_check_key  # type: ignore[union-attr]
        for entry in planned
        if entry.step_key not in failed
    ]


def _was_interrupted(run: DagsterRun) -> bool:
    from dagster._core.events import RunFailureReason
    from dagster._core.storage.tags import RUN_FAILURE_REASON_TAG

    return run.tags.get(RUN_FAILURE_REASON_TAG) == RunFailureReason.UNEXPECTED_TERMINATION.value
