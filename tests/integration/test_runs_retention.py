"""Dagster's old records go, and what the UI, schedules and unfinished work need stays; on Dagster's own tables in PostgreSQL."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
import yaml
from dagster._core.events import DagsterEvent, StepMaterializationData
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.scheduler.instigation import InstigatorType, TickData, TickStatus

from omc_infra.postgres.batches import Purged
from omc_infra.postgres.database import Database
from omc_infra.runs.retention import RUNS_A_BATCH, purge_dagster

NOW = datetime.now(UTC)
BEFORE = NOW - timedelta(days=14)
OLD_DAYS = 20


@dg.asset(check_specs=[dg.AssetCheckSpec("sound", asset="measured")])
def measured() -> dg.MaterializeResult:  # type: ignore[type-arg]
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)], tags={"kind": "test"})


@dataclass(frozen=True)
class Past:
    """A Dagster instance on the test's database, and ways to make the past."""

    instance: dg.DagsterInstance
    database: Database
    folder: Path

    def materialize(self, days_ago: int) -> str:
        """Run the asset, as it were some days ago."""
        result = dg.materialize([measured], instance=self.instance, tags={"ledger": "glass"})
        self.backdate(result.run_id, days_ago)
        return result.run_id

    def bare_run(self, days_ago: int, status: str = "SUCCESS", **tags: str) -> str:
        """Record a run of which nothing is known but how it stands."""
        run = dg.DagsterRun("nothing", run_id=str(uuid4()), tags={name.replace("__", "/"): value for name, value in tags.items()})
        self.instance.add_run(run)
        self.write("UPDATE dagster.runs SET status = %s WHERE run_id = %s", status, run.run_id)
        self.backdate(run.run_id, days_ago)
        return run.run_id

    def bare_runs(self, count: int) -> str:
        """Record many finished runs of long ago and answer what their ids begin with."""
        mark = str(uuid4())
        self.write(
            "INSERT INTO dagster.runs (run_id, status, run_body, update_timestamp)"
            " SELECT %s || n, 'SUCCESS', '{}', now() - interval '400 days' FROM generate_series(1, %s) AS n",
            mark,
            count,
        )
        return mark

    def how_many(self, mark: str) -> int:
        """Count the runs whose ids begin so."""
        with self.database.connect("dagster") as connection:
            row = connection.execute("SELECT count(*) FROM dagster.runs WHERE starts_with(run_id, %s)", [mark]).fetchone()
        return int(row[0]) if row else 0

    def record(self, run_id: str, happened: dg.AssetMaterialization) -> None:
        """Let a run have materialized something."""
        event = DagsterEvent("ASSET_MATERIALIZATION", "nothing", event_specific_data=StepMaterializationData(happened))
        self.instance.report_dagster_event(event, run_id)

    def write(self, statement: str, *values: object) -> None:
        with self.database.connect("dagster") as connection:
            connection.execute(statement, values)

    def backdate(self, run_id: str, days: int) -> None:
        for table, column in (("runs", "update_timestamp"), ("event_logs", "timestamp")):
            self.write(f"UPDATE dagster.{table} SET {column} = {column} - %s WHERE run_id = %s", timedelta(days=days), run_id)

    def exists(self, run_id: str) -> bool:
        return bool(self.count("runs", run_id))

    def count(self, table: str, run_id: str) -> int:
        of_run = "event_id IN (SELECT id FROM dagster.event_logs WHERE run_id = %s)" if table == "asset_event_tags" else "run_id = %s"
        with self.database.connect("dagster") as connection:
            row = connection.execute(f"SELECT count(*) FROM dagster.{table} WHERE {of_run}", [run_id]).fetchone()
        return int(row[0]) if row else 0

    def purge(self, deadline: float = float("inf")) -> dict[str, Purged]:
        return {purged.what: purged for purged in purge_dagster(self.database, self.instance, BEFORE, deadline)}


@pytest.fixture(scope="module")
def past(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    folder = tmp_path_factory.mktemp("dagster")
    url = database.url("dagster", driver="psycopg2", search_path="dagster")
    (folder / "dagster.yaml").write_text(yaml.safe_dump({"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}}))
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        yield Past(instance, database, folder)


RECORDS = ("runs", "event_logs", "asset_check_executions", "asset_event_tags", "run_tags")


@pytest.fixture(scope="module")
def two_old(past: Past) -> tuple[str, str]:
    """Materialize an asset twice, long ago, then purge; answer both runs."""
    first, last = past.materialize(OLD_DAYS + 1), past.materialize(OLD_DAYS)
    assert all(past.count(table, first) for table in RECORDS)
    assert _output(past, first).is_file()
    past.purge()
    return first, last


def test_an_old_run_goes_with_its_events_checks_tags_and_files(past: Past, two_old: tuple[str, str]) -> None:
    gone, _ = two_old

    assert {table: past.count(table, gone) for table in RECORDS} == dict.fromkeys(RECORDS, 0)
    assert not _output(past, gone).parent.parent.exists()


def test_the_last_materialization_and_check_of_an_asset_stay_however_old(past: Past, two_old: tuple[str, str]) -> None:
    _, last = two_old

    event = past.instance.get_latest_materialization_event(dg.AssetKey("measured"))
    checked = past.instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(dg.AssetKey("measured"), "sound"), limit=5)
    assert past.exists(last)
    assert event is not None
    assert event.run_id == last
    assert [record.run_id for record in checked] == [last]
    assert past.instance.all_logs(last)


def test_a_young_run_stays(past: Past) -> None:
    young = past.bare_run(13)

    past.purge()

    assert past.exists(young)


def test_the_last_materialization_of_each_partition_stays(past: Past) -> None:
    runs = [past.bare_run(0) for _ in range(3)]
    for run, partition in zip(runs, "aba", strict=True):
        past.record(run, dg.AssetMaterialization("by_part", partition=partition))
        past.backdate(run, OLD_DAYS)
    past.record(past.bare_run(0), dg.AssetMaterialization("by_part", partition="c"))

    past.purge()

    assert [past.exists(run_id) for run_id in runs] == [False, True, True]
    assert past.instance.get_materialized_partitions(dg.AssetKey("by_part")) == {"a", "b", "c"}


def test_an_unfinished_run_stays_however_old(past: Past) -> None:
    runs = {status.value: past.bare_run(400, status.value) for status in dg.DagsterRunStatus}

    past.purge()

    assert {status for status, run in runs.items() if not past.exists(run)} == {"SUCCESS", "FAILURE", "CANCELED"}


def test_the_run_that_an_unfinished_one_goes_on_from_stays(past: Past) -> None:
    parent, stranger = past.bare_run(400), past.bare_run(400)
    past.bare_run(0, "QUEUED", dagster__parent_run_id=parent, dagster__root_run_id=parent)

    past.purge()

    assert (past.exists(parent), past.exists(stranger)) == (True, False)


def test_the_runs_of_a_backfill_at_work_stay(past: Past) -> None:
    kept, gone = past.bare_run(400, dagster__backfill="atwork"), past.bare_run(400, dagster__backfill="done")
    for name, status in (("atwork", BulkActionStatus.REQUESTED), ("done", BulkActionStatus.COMPLETED_SUCCESS)):
        backfill = PartitionBackfill(name, status, from_failure=False, tags={}, backfill_timestamp=NOW.timestamp(), partition_names=[])
        past.instance.add_backfill(backfill)

    past.purge()

    assert (past.exists(kept), past.exists(gone)) == (True, False)


def test_events_of_runs_that_are_gone_go_too_and_the_latest_of_an_asset_stays(past: Past) -> None:
    for _ in range(2):
        past.instance.report_runless_asset_event(dg.AssetMaterialization("reported"))
    past.write("UPDATE dagster.event_logs SET timestamp = timestamp - interval '20 days' WHERE run_id = ''")
    half_deleted = past.bare_run(0)
    for _ in range(2):
        past.record(half_deleted, dg.AssetMaterialization("halved"))
    past.backdate(half_deleted, OLD_DAYS)
    past.instance.run_storage.delete_run(half_deleted)

    past.purge()

    assert past.count("event_logs", half_deleted) == 1
    assert len(past.instance.fetch_materializations(dg.AssetKey("reported"), limit=5).records) == 1


def test_old_ticks_go_but_the_latest_of_each_schedule_and_one_that_is_at_work_stay(past: Past) -> None:
    for name, days in (("daily", (40, 30, 1)), ("monthly", (70, 40)), ("at_work", (60, 50, 40))):
        for ago in days:
            status = TickStatus.STARTED if (name, ago) == ("at_work", 60) else TickStatus.SUCCESS
            past.instance.create_tick(
                TickData(name, name, InstigatorType.SCHEDULE, status, (NOW - timedelta(days=ago)).timestamp(), run_ids=[], selector_id=name)
            )

    purged = past.purge()

    left = {
        name: [round((NOW.timestamp() - tick.timestamp) / 86400) for tick in past.instance.get_ticks(name, name)]
        for name in ("daily", "monthly", "at_work")
    }
    assert left == {"daily": [1], "monthly": [40], "at_work": [40, 60]}
    assert purged["ticks"].count == 4


def test_a_purge_killed_in_the_middle_of_a_batch_has_kept_whole_batches_and_the_next_goes_on(past: Past) -> None:
    count = 2 * RUNS_A_BATCH + 5
    mark = past.bare_runs(count)

    child = os.fork()
    if child == 0:
        _purge_and_die(past, after=RUNS_A_BATCH + 3)
    _, status = os.waitpid(child, 0)
    left = past.how_many(mark)
    rest = past.purge()["runs"]

    assert os.WTERMSIG(status) == signal.SIGKILL
    assert left == count - RUNS_A_BATCH
    assert (rest.count, rest.is_complete) == (left, True)
    assert past.how_many(mark) == 0


def test_a_purge_whose_time_is_up_stops_between_batches(past: Past) -> None:
    past.bare_runs(RUNS_A_BATCH + 5)

    cut = past.purge(time.monotonic())["runs"]

    assert (cut.count, cut.is_complete) == (RUNS_A_BATCH, False)
    assert past.purge()["runs"].count == 5


def test_two_purges_at_once_share_the_work(past: Past) -> None:
    mark = past.bare_runs(5 * RUNS_A_BATCH)
    counts: list[int] = []

    threads = [threading.Thread(target=lambda: counts.append(past.purge()["runs"].count)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts) == 5 * RUNS_A_BATCH
    assert past.how_many(mark) == 0


def _output(past: Past, run_id: str) -> Path:
    """Return where a run's captured output lies."""
    return next(
        (past.folder / "storage" / run_id / "compute_logs").glob("*.out"), past.folder / "storage" / run_id / "compute_logs" / "none"
    )


class _DeadlyLogs:
    """Kills the process at the removal of the n-th run's output."""

    def __init__(self, after: int) -> None:
        self.left = after

    def delete_logs(self, prefix: list[str]) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class _DeadlyInstance:
    compute_log_manager: _DeadlyLogs
    storage_directory: Callable[[], str]


def _purge_and_die(past: Past, after: int) -> None:
    instance: Any = _DeadlyInstance(_DeadlyLogs(after), past.instance.storage_directory)
    try:
        purge_dagster(past.database, instance, BEFORE, float("inf"))
    finally:
        os._exit(0)
