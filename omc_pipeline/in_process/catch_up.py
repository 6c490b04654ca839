"""Catch up at the start of a platform: ledgers with late sources, and jobs whose last run failed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from omc_infra.clock import utc_now
from omc_infra.errors import MachineError
from omc_infra.postgres.database import Database
from omc_pipeline.in_process.jobs import JobFailedError, PipelineJobs
from omc_pipeline.ledgers.table import LEDGERS

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from omc_pipeline.collection.source import Source
    from omc_pipeline.collection.state import States

REPORT_BROKEN = "report_broken_sources"
_OWN_TIME = ("maintain_ledgers", REPORT_BROKEN)
"""Jobs that don't run again only because they failed: a heavy one, which nobody misses at a start, and one that has its own reason."""
_PARTITION_TAG = "dagster/partition"
_RUNS_LOOKED_AT = 50


def collect_due(database: Database, instance: DagsterInstance) -> list[str]:
    """Collect each ledger with a due source, then compute scores and values, so that no page waits for the next tick.

    A job whose newest run failed or was interrupted, for example by Ctrl-C, also runs again.

    A start hook of the platform; see the entry points ``omc.start_hooks``.

    Returns:
        A line for each source with a broken file, and for each failed job, such as a collection with its upstream down:
        the platform starts anyway, and the schedules try again.
    """
    from omc_pipeline.collection.discovery import discover

    due, jobs, broken = _due_ledgers(database), PipelineJobs(instance), discover().broken.values()
    names = [name for ledger in due for name in jobs.collections_of(ledger)]
    again = [name for name in jobs.names if name not in _OWN_TIME and _ended_badly(instance, name)]
    names += [name for name in again if name.startswith("collect_")]
    names += ["value_positions", "score_ledgers"] if names else []
    if broken:
        _failure(jobs, REPORT_BROKEN)  # which makes their assets red; what it says follows, a line for each
    failures = [failure for name in dict.fromkeys([*names, *again]) if (failure := _failure(jobs, name)) is not None]
    return [*(each.reason for each in broken), *failures]


def _ended_badly(instance: DagsterInstance, job: str) -> bool:
    """Return whether the newest run of a job, in any partition, failed or was canceled."""
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
    from omc_pipeline.collection.state import states

    with database.connect("reader") as connection:
        known = states(connection)
    late = {source.ledger for source in discover_sources().values() if _is_late(source, known)}
    return [ledger for ledger in LEDGERS if ledger in late]


def _is_late(source: Source, known: States) -> bool:
    """Return whether an endpoint has had no successful collection for longer than its cadence."""
    from omc_pipeline.collection.readiness import has_account

    now = utc_now()
    if not has_account(source, known):
        return False
    for endpoint in source.endpoints:
        successes = [state.last_success_at for state in known if (state.source, state.endpoint) == (source.name, endpoint.name)]
        newest = max((success for success in successes if success), default=None)
        if newest is None or now - newest > timedelta(seconds=endpoint.every_s):
            return True
    return False
