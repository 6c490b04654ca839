"""Jobs and their schedules: few runs, each collecting what is due together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from omc_infra.runs.routing import WISH_TAG
from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.table import LEDGERS
from omc_pipeline.orchestration.buckets import Buckets
from omc_pipeline.orchestration.collection import asset_key
from omc_pipeline.orchestration.operations import GROWTH, RETENTION
from omc_pipeline.orchestration.pnl import POSITIONS, SNAPSHOTS, VALUATION

SCORES_CRON = "7-59/15 * * * *"
VALUATION_CRON = "3-59/15 * * * *"
"""Between the quarters, when the collections have the machine."""
SNAPSHOT_CRON = "25 0 * * *"
MAINTENANCE_CRON = "40 4 * * *"
"""A quiet hour: SEC EDGAR takes no filings then, summer or winter."""
HEAVY = {WISH_TAG: "process"}
"""Tags of runs that get a process of their own. All others are light and say nothing: a wish of theirs would win over the rule that
sends their backfills to a process, too."""
ACCOUNT = dg.AssetKey(["exchange", "coinspot_account"])
PRICES = dg.AssetKey(["exchange", "coinspot_prices"])


@dataclass(frozen=True)
class ScheduledJob:
    """A selection of assets and when it runs, UTC; ``buckets`` are those of the users that a tick computes, a run each."""

    name: str
    description: str
    selection: dg.AssetSelection
    cron: str
    tags: Mapping[str, str]
    buckets: Sequence[str] = ()


def scheduled_jobs(sources: Sequence[Source], buckets: Buckets, user: str) -> list[ScheduledJob]:
    """Answer one job for the sources of a ledger that share a cadence, one for profit and loss, one for scores, one for maintenance.

    A user's account is collected together with the positions computed from it, so that a failed blocking check of its fills
    stops the computation in the same run; what is held is valued in the run that collected new quotes.

    Args:
        sources: All there are.
        buckets: Of users. Where they are several, a job that computes them all starts a run for each.
        user: Whose account is collected, and whose bucket therefore is computed with it.
    """
    every, own = (buckets.names, [buckets.of(user)]) if buckets.partitions else ((), ())
    groups: dict[tuple[str, str], list[Source]] = defaultdict(list)
    for source in sources:
        groups[source.ledger, source.cron].append(source)
    return [
        *(
            _collection_job(ledger, cron, members, own, alone=sum(led == ledger for led, _ in groups) == 1)
            for (ledger, cron), members in groups.items()
        ),
        ScheduledJob(
            "value_positions",
            "Bring every user's positions up to date, and value what is held at the newest quotes.",
            dg.AssetSelection.assets(POSITIONS, VALUATION),
            VALUATION_CRON,
            {"ledger": "exchange"},
            every,
        ),
        ScheduledJob(
            "snapshot_positions",
            "Keep what every user held at the end of the day.",
            dg.AssetSelection.assets(SNAPSHOTS),
            SNAPSHOT_CRON,
            {"ledger": "exchange"},
            every,
        ),
        ScheduledJob(
            "score_ledgers",
            "Score the four ledgers and open or close alerts.",
            dg.AssetSelection.assets(*(["quality", ledger] for ledger in LEDGERS)),
            SCORES_CRON,
            {"ledger": "all"},
        ),
        ScheduledJob(
            "maintain_ledgers",
            "Let go of what is past its retention, and measure the database.",
            dg.AssetSelection.assets(RETENTION, GROWTH),
            MAINTENANCE_CRON,
            {"ledger": "all", **HEAVY},
        ),
    ]


def _collection_job(ledger: str, cron: str, members: Sequence[Source], own: Sequence[str], *, alone: bool) -> ScheduledJob:
    keys = [asset_key(source) for source in members]
    follows = {ACCOUNT: POSITIONS, PRICES: VALUATION}
    computed = [asset for collected, asset in follows.items() if collected in keys]
    selection: dg.AssetSelection = dg.AssetSelection.assets(*keys, *computed)
    suffix = "" if alone else "_" + "_".join(source.name.removeprefix(f"{ledger}_") for source in members)
    description = f"Collect {', '.join(source.title for source in members)} and judge what came."
    return ScheduledJob(f"collect_{ledger}{suffix}", description, selection, cron, {"ledger": ledger}, own if computed else ())


def definitions_of(job: ScheduledJob) -> tuple[dg.UnresolvedAssetJobDefinition, dg.ScheduleDefinition]:
    """Make the Dagster job and its schedule, running from the first start."""
    defined = dg.define_asset_job(
        job.name,
        selection=job.selection,
        description=job.description,
        tags=dict(job.tags),
        executor_def=dg.in_process_executor,
    )
    schedule = dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=defined,
        cron_schedule=job.cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=job.description,
        execution_fn=_runs_of(job.buckets) if job.buckets else None,
    )
    return defined, schedule


def _runs_of(buckets: Sequence[str]) -> Callable[[dg.ScheduleEvaluationContext], Iterator[dg.RunRequest]]:
    def requests(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        for bucket in buckets:
            yield dg.RunRequest(run_key=f"{context.scheduled_execution_time.isoformat()} {bucket}", partition_key=bucket)

    return requests
