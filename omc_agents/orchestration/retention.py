"""The agents' part of the daily maintenance: what finished sessions no longer need is let go."""

import time

import dagster as dg

from omc_agents.orchestration.resources import AgentPlatform
from omc_infra.clock import utc_now
from omc_infra.postgres.batches import kept_since
from omc_infra.runs.routing import WISH_TAG

RETENTION = dg.AssetKey(["operations", "session_retention"])
CRON = "20 4 * * *"
"""Before the ledgers' maintenance, which measures what is left; SEC EDGAR takes no filings at this hour."""
LONGEST_PURGE_S = 900.0


@dg.asset(key=RETENTION, group_name="operations", kinds={"postgres"}, owners=["team:agents"])
def session_retention(agent_platform: dg.ResourceParam[AgentPlatform]) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Let go of checkpoints and model-call texts of sessions finished long ago; sessions, briefs, claims and evidence stay."""
    from omc_agents.sessions.retention import purge_sessions

    before = kept_since(utc_now(), agent_platform.settings.keep_sessions_days)
    if before is None:
        return dg.MaterializeResult(metadata={"sessions": 0, "is_complete": True})
    with agent_platform.database() as database:
        purged = purge_sessions(database, before, time.monotonic() + LONGEST_PURGE_S)
    return dg.MaterializeResult(metadata={"sessions": purged.count, "is_complete": purged.is_complete})


maintain_sessions = dg.define_asset_job(
    "maintain_sessions",
    selection=dg.AssetSelection.assets(RETENTION),
    description="Remove data that finished agent sessions no longer need.",
    tags={"ledger": "all", WISH_TAG: "process"},
    executor_def=dg.in_process_executor,
)
maintain_sessions_schedule = dg.ScheduleDefinition(
    name="maintain_sessions_schedule",
    job=maintain_sessions,
    cron_schedule=CRON,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Daily.",
)
