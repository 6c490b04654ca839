"""What a platform that starts has missed: ledgers whose sources were not asked for longer than their cadence, and jobs that failed last."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from omc_infra.clock import utc_now
from omc_infra.errors import MachineError
from omc_infra.postgres.database import Database
from omc_pipeline.in_process.jobs import JobFailedError, PipelineJobs
from omc_pipeline.ledgers.table import LEDGERS

if TYPE_CHECKING:
    from dagster import DagsterInstance

_OWN_TIME = ("maintain_ledgers",)
"""Jobs that wait for their schedule: heavy ones, which nobody misses at a start."""
_PARTITION_TAG = "dagster/partition"
_RUNS_LOOKED_AT = 50


def collect_due(database: Database, instance: DagsterInstance) -> list[str]:
    """Collect each ledger with a source that is due, then score and value, so that no page waits for the next tick.

    A job whose newest run failed or was interrupted, as by Ctrl-C, runs again too: nothing stays red because the platform ended.

    A start hook of the platform; see the entry points ``omc.start_hooks``.

    Returns:
        A line for each that failed, such as a collection whose upstream is down: no reason not to start, the schedules go on
        with it.
    """
    due, jobs = _due_ledgers(database), PipelineJobs(instance)
    names = [name for ledger in due for name in jobs.collections_of(ledger)]
    again = [name for name in jobs.names if name not in _OWN_TIME and _ended_badly(instance, name)]
    names += [name for name in again if name.startswith("collect_")]
    names += ["value_positions", "score_ledgers"] if names else []
    return [failure for name in dict.fromkeys([*names, *again]) if (failure := _failure(jobs, name)) is not None]


def _ended_badly(instance: DagsterInstance, job: str) -> bool:
    """Say whether the newest run of a job, of any of its partitions, failed or was canceled."""
    from dagster import DagsterRunStatus, RunsFilter

    newest: dict[str | None, DagsterRunStatus] = {}
    for run in instance.get_runs(RunsFilter(job_name=job), limit=_RUNS_LOOKED_AT):
        newest.setdefault(run.tags.get(_PARTITION_TAG), run.status)
    return bool({DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED} & set(newest.values()))


def _failure(jobs: PipelineJobs, name: str) -> str | None:
    try:
        jobs.run(name)
    except (JobFailedError, MachineError) as error:
        return str(error)
    return None


def _due_ledgers(database: Database) -> list[str]:
    from omc_pipeline.collection.discovery import discover_sources

    with database.engine("reader").connect() as connection:
        found = connection.execute(sa.text("SELECT source, max(fetched_at) FROM raw.fetch GROUP BY source"))
        asked: dict[str, datetime] = dict(found.all())
    now = utc_now()
    late = {s.ledger for s in discover_sources().values() if s.name not in asked or now - asked[s.name] > timedelta(seconds=s.every_s)}
    return [ledger for ledger in LEDGERS if ledger in late]
