"""The sensor over the catalyst outbox: claims fresh events into batches and asks for one run an open batch.

Dagster drops a run request whose key it has seen, so asking twice launches once. The key counts the attempts that ended, so a
failed or vanished run is followed by exactly one other. This sensor is the only one of Dagster's retry mechanisms in use: the op
has no retry policy and the runs carry no retry tag.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import dagster as dg

from omc_agents.orchestration.jobs import BATCH_TAG, LEDGER_TAGS, brief_catalysts
from omc_agents.orchestration.resources import AgentPlatform
from omc_agents.sessions.announcing import announce_briefs
from omc_agents.sessions.dispatch import dispatch_fresh, give_up, open_batches
from omc_agents.sessions.locks import is_batch_alive
from omc_agents.sessions.occasions import open_occasions
from omc_agents.sessions.options import BriefsSection
from omc_infra.clock import utc_now
from omc_infra.postgres.database import Database

MOST_RUNS = 10
"""Bad ends after which a batch is given up. Sessions count their own failures and end sooner; this stops what never gets that far."""
_ENDED_BADLY = {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
_ENDED = {*_ENDED_BADLY, dg.DagsterRunStatus.SUCCESS}
_SILENT_AFTER = {dg.DagsterRunStatus.STARTED: timedelta(seconds=20), dg.DagsterRunStatus.STARTING: timedelta(seconds=120)}
"""How long a run may be in a status without holding its batch's lock before its process counts as gone; nothing else notices
when the code server died together with the run."""


@dg.sensor(
    job=brief_catalysts,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts one agent run for each batch of new catalyst events. Each event is given to exactly one run.",
)
def catalyst_outbox(
    context: dg.SensorEvaluationContext, agent_platform: dg.ResourceParam[AgentPlatform]
) -> dg.SensorResult | dg.SkipReason:
    """Claim what is fresh, open what is due, hand over what is finished; ask for a run of every batch that is open and not in work."""
    settings = agent_platform.settings
    with agent_platform.open_database(settings) as database:
        wait_s, forms = agent_platform.awaited_documents() if agent_platform.awaited_documents else (0.0, ())
        options = agent_platform.brief_options(settings) if agent_platform.brief_options else BriefsSection(cooldown_minutes=0)
        claimed = dispatch_fresh(database, settings.fresh_event_hours, wait_s, forms, options.cooldown_minutes)
        open_occasions(database, options, agent_platform.own_model_name, utc_now())
        announce_briefs(database, options.channels)
        requests = list(_requests(context.instance, database, open_batches(database)))
    if not requests:
        return dg.SkipReason("no fresh event without a brief" if not claimed else "batches are in work")
    return dg.SensorResult(run_requests=requests)


def _requests(instance: dg.DagsterInstance, database: Database, batches: Sequence[UUID]) -> Iterator[dg.RunRequest]:
    attempts = {batch: _attempts(instance, database, batch) for batch in batches}
    # Read again: a run may have finished its batch between the two looks, and would be followed by an empty one.
    still_open = set(open_batches(database)) if any(attempts.values()) else set(batches)
    for batch, ended in attempts.items():
        if ended is None or batch not in still_open:
            continue
        if sum(status in _ENDED_BADLY for status in ended) >= MOST_RUNS:
            give_up(database, batch, f"given up after {MOST_RUNS} failed runs; see the runs tagged {BATCH_TAG}={batch}")
            continue
        yield dg.RunRequest(
            run_key=f"{batch}#{len(ended)}",
            run_config={"ops": {"brief_batch_events": {"config": {"batch_id": str(batch)}}}},
            tags={BATCH_TAG: str(batch), **LEDGER_TAGS},
        )


def _attempts(instance: dg.DagsterInstance, database: Database, batch: UUID) -> list[dg.DagsterRunStatus] | None:
    """Return how the runs of a batch ended, or None while one is in work.

    A run that is NOT_STARTED was created by a daemon that died before launching it: it counts as none, the same key is asked for
    again, and Dagster launches the run it finds under it.
    """
    ended: list[dg.DagsterRunStatus] = []
    for record in instance.get_run_records(dg.RunsFilter(tags={BATCH_TAG: str(batch)})):
        status = record.dagster_run.status
        if status in _ENDED:
            ended.append(status)
        elif status is not dg.DagsterRunStatus.NOT_STARTED:
            if not _is_gone(database, batch, status, record.update_timestamp):
                return None
            instance.report_run_failed(record.dagster_run, f"its process is gone: {BATCH_TAG}={batch} is locked by nobody")
            ended.append(dg.DagsterRunStatus.FAILURE)
    return ended


def _is_gone(database: Database, batch: UUID, status: dg.DagsterRunStatus, since: datetime) -> bool:
    silent = _SILENT_AFTER.get(status)
    now, since = datetime.now(UTC), since if since.tzinfo else since.replace(tzinfo=UTC)
    return silent is not None and now - since > silent and not is_batch_alive(database, batch)
