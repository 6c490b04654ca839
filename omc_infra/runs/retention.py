"""Remove old records of Dagster: finished runs with their events, checks and files, events without a run, and ticks.

Dagster has a retention of its own for ticks only, and only for those of sensors and schedules that still exist; its event log would
grow for ever. Kept, however old: unfinished runs and those they were started from, runs of a backfill in progress, the runs of the
latest event of each kind of each asset and partition and of each check's latest outcomes (the UI shows them, and conditions read
them), and the latest tick of each schedule and sensor (it says where the next begins).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from omc_infra.postgres.batches import Batch, Purged, purge_in_batches
from omc_infra.postgres.database import Database

if TYPE_CHECKING:
    from dagster import DagsterInstance

_Step = Callable[[psycopg.Connection[Any], int], Batch[int]]

RUNS_A_BATCH = 50
ROWS_A_BATCH = 5_000
_FINISHED = ["SUCCESS", "FAILURE", "CANCELED"]
_BACKFILLS_AT_WORK = ["REQUESTED", "CANCELING", "FAILING"]
_ANCESTORS = ["dagster/parent_run_id", "dagster/root_run_id"]

_LATEST_EVENTS = """
SELECT DISTINCT ON (asset_key, dagster_event_type, partition) id, run_id FROM dagster.event_logs
WHERE asset_key IS NOT NULL ORDER BY asset_key, dagster_event_type, partition, id DESC
"""
_KEPT_RUNS = f"""
SELECT run_id FROM ({_LATEST_EVENTS}) AS latest WHERE run_id <> ''
UNION SELECT last_run_id FROM dagster.asset_keys WHERE last_run_id IS NOT NULL
UNION SELECT run_id FROM dagster.asset_check_executions WHERE run_id IS NOT NULL AND id IN (
    SELECT max(id) FROM dagster.asset_check_executions GROUP BY asset_key, check_name, partition, execution_status)
UNION SELECT tag.value FROM dagster.run_tags AS tag JOIN dagster.runs USING (run_id)
    WHERE tag.key = ANY(%(ancestors)s) AND tag.value IS NOT NULL AND runs.status <> ALL(%(finished)s)
UNION SELECT run_id FROM dagster.runs JOIN dagster.bulk_actions ON bulk_actions.key = runs.backfill_id
    WHERE bulk_actions.status = ANY(%(at_work)s)
"""
_OLD_RUNS = """
SELECT id, run_id FROM dagster.runs
WHERE id > %(after)s AND status = ANY(%(finished)s) AND update_timestamp < %(before)s AND run_id <> '' AND run_id <> ALL(%(kept)s)
ORDER BY id LIMIT %(most)s FOR UPDATE SKIP LOCKED
"""
_CHECKS_OF_RUNS = """
DELETE FROM dagster.asset_check_executions AS done USING unnest(%(assets)s::text[], %(checks)s::text[]) AS known (asset_key, check_name)
WHERE done.asset_key = known.asset_key AND done.check_name = known.check_name AND done.run_id = ANY(%(runs)s)
"""
"""The table has no index on run_id, but one on asset, check and run."""
_TAGS_OF_RUNS = """
DELETE FROM dagster.asset_event_tags USING dagster.event_logs
WHERE event_logs.run_id = ANY(%(runs)s) AND asset_event_tags.event_id = event_logs.id
"""
_OF_RUNS = (
    _CHECKS_OF_RUNS,
    _TAGS_OF_RUNS,
    "DELETE FROM dagster.event_logs WHERE run_id = ANY(%(runs)s)",
    "DELETE FROM dagster.pending_steps WHERE run_id = ANY(%(runs)s)",
    "UPDATE dagster.concurrency_slots SET run_id = NULL, step_key = NULL WHERE run_id = ANY(%(runs)s)",
    "DELETE FROM dagster.runs WHERE run_id = ANY(%(runs)s)",  # and, by cascade, their tags
)
_OLD_EVENTS = """
SELECT id, timestamp >= %(before)s, NOT EXISTS (SELECT FROM dagster.runs WHERE runs.run_id = event_logs.run_id)
FROM dagster.event_logs WHERE id > %(after)s ORDER BY id LIMIT %(most)s
"""
_OLD_TICKS = """
SELECT id FROM dagster.job_ticks
WHERE id > %(after)s AND timestamp < %(before)s AND status <> 'STARTED' AND EXISTS (
    SELECT FROM dagster.job_ticks AS later WHERE later.job_origin_id = job_ticks.job_origin_id
    AND later.selector_id IS NOT DISTINCT FROM job_ticks.selector_id AND later.timestamp > job_ticks.timestamp)
ORDER BY id LIMIT %(most)s FOR UPDATE SKIP LOCKED
"""


def purge_dagster(database: Database, instance: DagsterInstance, before: datetime, deadline: float) -> list[Purged]:
    """Purge runs, events of no run, and ticks that are older than a moment.

    Args:
        database: Whose schema ``dagster`` holds the instance's tables.
        instance: Knows where a run's captured output and stored values lie.
        before: Runs that ended, events and ticks that happened before go, but for those that are kept; aware.
        deadline: ``time.monotonic()`` after which no batch begins.
    """
    moment = before.astimezone(UTC).replace(tzinfo=None)  # Dagster's columns are UTC without saying so
    with database.connect("dagster") as connection:
        connection.autocommit = True
        return [
            purge_in_batches("runs", connection, _runs_batch(connection, instance, moment), 0, deadline),
            purge_in_batches("events of no run", connection, _events_batch(connection, moment), 0, deadline),
            purge_in_batches("ticks", connection, partial(_ticks_batch, moment), 0, deadline),
        ]


def _runs_batch(connection: psycopg.Connection[Any], instance: DagsterInstance, before: datetime) -> _Step:
    """Make the step over runs. What is kept is read once: until the end it can only become less."""
    asked = {"finished": _FINISHED, "at_work": _BACKFILLS_AT_WORK, "ancestors": _ANCESTORS}
    kept = [run_id for (run_id,) in connection.execute(_KEPT_RUNS, asked)]
    known = connection.execute("SELECT DISTINCT asset_key, check_name FROM dagster.asset_check_executions").fetchall()
    checks = {"assets": [asset for asset, _ in known], "checks": [check for _, check in known]}

    def step(connection: psycopg.Connection[Any], after: int) -> Batch[int]:
        bound = {"after": after, "finished": _FINISHED, "before": before, "kept": kept, "most": RUNS_A_BATCH}
        found = connection.execute(_OLD_RUNS, bound).fetchall()
        run_ids = [run_id for _, run_id in found]
        for statement in _OF_RUNS if found else ():
            connection.execute(statement, {"runs": run_ids, **checks})
        _remove_files(instance, run_ids)  # before the commit: a killed purge finds these runs again
        return Batch(len(found), found[-1][0] if len(found) == RUNS_A_BATCH else None)

    return step


def _events_batch(connection: psycopg.Connection[Any], before: datetime) -> _Step:
    latest = {event_id for event_id, _ in connection.execute(_LATEST_EVENTS)}

    def step(connection: psycopg.Connection[Any], after: int) -> Batch[int]:
        found = connection.execute(_OLD_EVENTS, {"after": after, "before": before, "most": ROWS_A_BATCH}).fetchall()
        strays = [event_id for event_id, is_young, is_stray in found if is_stray and not is_young and event_id not in latest]
        connection.execute("DELETE FROM dagster.asset_event_tags WHERE event_id = ANY(%s)", [strays])
        purged = connection.execute("DELETE FROM dagster.event_logs WHERE id = ANY(%s)", [strays]).rowcount
        is_last = len(found) < ROWS_A_BATCH or all(is_young for _, is_young, _ in found)  # ids rise with time
        return Batch(purged, None if is_last else found[-1][0])

    return step


def _ticks_batch(before: datetime, connection: psycopg.Connection[Any], after: int) -> Batch[int]:
    old = [tick_id for (tick_id,) in connection.execute(_OLD_TICKS, {"after": after, "before": before, "most": ROWS_A_BATCH})]
    connection.execute("DELETE FROM dagster.job_ticks WHERE id = ANY(%s)", [old])
    return Batch(len(old), old[-1] if len(old) == ROWS_A_BATCH else None)


def _remove_files(instance: DagsterInstance, run_ids: Sequence[str]) -> None:
    for run_id in run_ids:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        shutil.rmtree(Path(instance.storage_directory()) / run_id, ignore_errors=True)
