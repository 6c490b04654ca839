"""What a platform that starts has missed: ledgers whose sources were not asked for longer than their cadence."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from omc_agents.demonstration.jobs import PipelineJobs
from omc_agents.platform import RunningPlatform
from omc_infra.clock import utc_now
from omc_pipeline.ledgers.table import LEDGERS


def collect_due(platform: RunningPlatform) -> list[str]:
    """Collect each ledger with a source that is due, then score and value, so that no page waits for the next tick.

    Returns:
        The ledgers that were due; all of them on a new platform.

    Raises:
        StageFailedError: A collection failed.
    """
    due = _due_ledgers(platform)
    jobs = PipelineJobs(platform.instance)
    for ledger in due:
        jobs.collect(ledger)
    if due:
        jobs.run("value_positions")
        jobs.run("score_ledgers")
    return due


def _due_ledgers(platform: RunningPlatform) -> list[str]:
    from omc_pipeline.sources.discovery import discover_sources

    with platform.database.engine("reader").connect() as connection:
        found = connection.execute(sa.text("SELECT source, max(fetched_at) FROM raw.fetch GROUP BY source"))
        asked: dict[str, datetime] = dict(found.all())
    now = utc_now()
    late = {s.ledger for s in discover_sources().values() if s.name not in asked or now - asked[s.name] > timedelta(seconds=s.every_s)}
    return [ledger for ledger in LEDGERS if ledger in late]
