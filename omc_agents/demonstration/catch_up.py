"""What a platform that starts has missed: ledgers whose sources were not asked for longer than their cadence."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from omc_agents.demonstration.jobs import PipelineJobs, StageFailedError
from omc_agents.platform import RunningPlatform
from omc_infra.clock import utc_now
from omc_pipeline.ledgers.table import LEDGERS


def collect_due(platform: RunningPlatform) -> list[str]:
    """Collect each ledger with a source that is due, then score and value, so that no page waits for the next tick.

    Returns:
        A line for each that failed, such as a collection whose upstream is down: no reason not to start, the schedules go on
        with it.
    """
    due, jobs = _due_ledgers(platform), PipelineJobs(platform.instance)
    names = [name for ledger in due for name in jobs.collections_of(ledger)]
    names += ["value_positions", "score_ledgers"] if due else []
    return [failure for name in names if (failure := _failure(jobs, name)) is not None]


def _failure(jobs: PipelineJobs, name: str) -> str | None:
    try:
        jobs.run(name)
    except StageFailedError as error:
        return str(error)
    return None


def _due_ledgers(platform: RunningPlatform) -> list[str]:
    from omc_pipeline.collection.discovery import discover_sources

    with platform.database.engine("reader").connect() as connection:
        found = connection.execute(sa.text("SELECT source, max(fetched_at) FROM raw.fetch GROUP BY source"))
        asked: dict[str, datetime] = dict(found.all())
    now = utc_now()
    late = {s.ledger for s in discover_sources().values() if s.name not in asked or now - asked[s.name] > timedelta(seconds=s.every_s)}
    return [ledger for ledger in LEDGERS if ledger in late]
