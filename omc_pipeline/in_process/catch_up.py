"""What a platform that starts has missed: ledgers whose sources were not asked for longer than their cadence."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from omc_infra.clock import utc_now
from omc_infra.postgres.database import Database
from omc_pipeline.in_process.jobs import JobFailedError, PipelineJobs
from omc_pipeline.ledgers.table import LEDGERS

if TYPE_CHECKING:
    from dagster import DagsterInstance


def collect_due(database: Database, instance: DagsterInstance) -> list[str]:
    """Collect each ledger with a source that is due, then score and value, so that no page waits for the next tick.

    A start hook of the platform; see the entry points ``omc.start_hooks``.

    Returns:
        A line for each that failed, such as a collection whose upstream is down: no reason not to start, the schedules go on
        with it.
    """
    due, jobs = _due_ledgers(database), PipelineJobs(instance)
    names = [name for ledger in due for name in jobs.collections_of(ledger)]
    names += ["value_positions", "score_ledgers"] if due else []
    return [failure for name in names if (failure := _failure(jobs, name)) is not None]


def _failure(jobs: PipelineJobs, name: str) -> str | None:
    try:
        jobs.run(name)
    except JobFailedError as error:
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
