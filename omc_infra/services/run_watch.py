"""Runs that never started: they wait in the queue or in their launch for too long, or Dagster gave them up before they began."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from omc_infra.postgres.database import Database
from omc_infra.services.tick_watch import TICKS_ROLE

_RECENT = timedelta(days=1)

# Of each job its newest such run, unless a later run of the job has started.
_NEVER_STARTED = """
SELECT DISTINCT ON (pipeline_name) pipeline_name, run_id, status, create_timestamp AT TIME ZONE 'UTC' FROM dagster.runs AS run
WHERE create_timestamp > %(since)s
    AND (status IN ('NOT_STARTED', 'QUEUED', 'STARTING') AND create_timestamp < %(late)s OR status = 'FAILURE' AND start_time IS NULL)
    AND NOT EXISTS (SELECT FROM dagster.runs AS later
        WHERE later.pipeline_name = run.pipeline_name AND later.id > run.id AND later.start_time IS NOT NULL)
ORDER BY pipeline_name, id DESC
"""


@dataclass(frozen=True)
class UnstartedRun:
    """A run that never started: its job, id and status, and when it was asked for."""

    job: str
    run_id: str
    status: str
    since: datetime


def unstarted_runs(database: Database, now: datetime, start_minutes: int) -> list[UnstartedRun]:
    """Return the newest run of each job that should have started and has not, of the last day.

    Args:
        database: Which holds Dagster's tables.
        now: The present.
        start_minutes: How long a run may wait for its start.

    Raises:
        OmcError, psycopg.Error: Dagster's tables can't be read.
    """
    moments = {"since": now - _RECENT, "late": now - timedelta(minutes=start_minutes)}
    bound = {name: at.astimezone(UTC).replace(tzinfo=None) for name, at in moments.items()}  # Dagster's column is UTC without saying so
    with database.connect(TICKS_ROLE) as connection:
        return [UnstartedRun(*row) for row in connection.execute(_NEVER_STARTED, bound).fetchall()]
