"""Jobs and their schedules: few runs, each collects several due sources; new sources don't change the names of jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from omc_infra.clock import utc_now
from omc_infra.runs.routing import WISH_TAG
from omc_pipeline.collection.cadence import is_due
from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.table import LEDGERS
from omc_pipeline.orchestration.accounts import account_requests
from omc_pipeline.orchestration.buckets import Buckets
from omc_pipeline.orchestration.candles import CANDLES
from omc_pipeline.orchestration.collection import asset_key
from omc_pipeline.orchestration.launching import launchable
from omc_pipeline.orchestration.operations import GROWTH, LAKE, RETENTION
from omc_pipeline.orchestration.pnl import POSITIONS, SNAPSHOTS, VALUATION, computed_from

CANDLES_CRON = "2-59/5 * * * *"
SCORES_CRON = "7-59/15 * * * *"
VALUATION_CRON = "3-59/15 * * * *"
"""Between the quarters, when the collections have the machine."""
SNAPSHOT_CRON = "25 0 * * *"
MAINTENANCE_CRON = "40 4 * * *"
"""A quiet hour: SEC EDGAR takes no filings then, summer or winter."""
HEAVY = {WISH_TAG: "process"}
"""Tags of runs that get a process of their own. All others are light and say nothing: a wish of theirs would win over the rule that
sends their backfills to a process, too."""


@dataclass(frozen=True)
class ScheduledJob:
    """A selection of assets and its schedule.

    Attributes:
        name: Of the job; its schedule is ``<name>_schedule``. It never depends on which sources there are, so that a schedule
            which somebody switched off stays off when a source is added.
        description: For a person.
        selection: All assets that a run of the job may have.
        crons: When it ticks, UTC.
        tags: Of its runs.
        buckets: Those of the users that a tick computes, a run each.
        members: The sources it collects; a tick runs those that are due and may be collected. Empty for a job that collects nothing.
    """

    name: str
    description: str
    selection: dg.AssetSelection
    crons: tuple[str, ...]
    tags: Mapping[str, str]
    buckets: Sequence[str] = ()
    members: Sequence[Source] = ()


def scheduled_jobs(sources: Sequence[Source], buckets: Buckets, user: str) -> list[ScheduledJob]:
    """Return the collection jobs, and the jobs for profit and loss, the end of the day, candles, scores and maintenance.

    A ledger's sources are collected by ``collect_<ledger>``, each when its own cadence says so. A source that is sampled within
    its run, or that collects accounts of users, has the job ``collect_<source>`` to itself: the one would keep the others'
    run open, and the other's failures concern one user only.

    Each account of a user has a run of its own. Its fills are collected together with the positions computed from them, so that a
    failed blocking check of the fills stops the computation in the same run, and where users are divided into buckets, which
    are partitions of another kind, by the next run that values them; what is held is valued in the run that collected new quotes.

    Args:
        sources: All there are.
        buckets: Of users. Where they are several, a job that computes them all starts a run for each.
        user: Whose account is collected, and whose bucket therefore is computed with it.
    """
    every, own = (buckets.names, [buckets.of(user)]) if buckets.partitions else ((), ())
    groups: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        groups[source.name if _runs_alone(source) else source.ledger].append(source)
    exchange, everything = {"ledger": "exchange"}, {"ledger": "all"}
    return [
        *(_collection_job(f"collect_{group}", members, own) for group, members in groups.items()),
        ScheduledJob(
            "value_positions",
            "Bring every user's positions up to date, and value what is held at the newest quotes.",
            dg.AssetSelection.assets(POSITIONS, VALUATION),
            (VALUATION_CRON,),
            exchange,
            every,
        ),
        ScheduledJob(
            "snapshot_positions",
            "Keep what every user held at the end of the day.",
            dg.AssetSelection.assets(SNAPSHOTS),
            (SNAPSHOT_CRON,),
            exchange,
            every,
        ),
        ScheduledJob(
            "derive_candles",
            "Make candles of the quotes and published candles that are new.",
            dg.AssetSelection.assets(CANDLES),
            (CANDLES_CRON,),
            {"ledger": "glass"},
        ),
        ScheduledJob(
            "score_ledgers",
            "Score the four ledgers and open or close alerts.",
            dg.AssetSelection.assets(*(["quality", ledger] for ledger in LEDGERS)),
            (SCORES_CRON,),
            everything,
        ),
        ScheduledJob(
            "maintain_ledgers",
            "Let go of what is past its retention, measure the database, and write the lake.",
            dg.AssetSelection.assets(RETENTION, GROWTH, LAKE),
            (MAINTENANCE_CRON,),
            {**everything, **HEAVY},
        ),
    ]


def _runs_alone(source: Source) -> bool:
    return source.sample_every_s is not None or source.per_account or any(table.per_user for table in source.tables)


def _collection_job(name: str, members: Sequence[Source], own: Sequence[str]) -> ScheduledJob:
    is_computing = any(computed_from(source) for source in members)
    description = f"Collect {', '.join(source.title for source in members)} and judge what came."
    crons = tuple(dict.fromkeys(cron for source in members for cron in source.crons))
    is_by_account = any(source.per_account for source in members)
    keys = [asset_key(source) for source in members] if is_by_account and own else assets_of(members)
    buckets = own if is_computing and not is_by_account else ()
    tags: dict[str, str] = {"ledger": members[0].ledger}
    if name == f"collect_{members[0].name}":  # lists of runs cut long names in the same place; this tells them apart
        tags["source"] = members[0].name.removeprefix(f"{members[0].ledger}_")
    return ScheduledJob(name, description, dg.AssetSelection.assets(*keys), crons, tags, buckets, members)


def assets_of(sources: Sequence[Source]) -> list[dg.AssetKey]:
    """Return the assets of sources, and those computed from them in the same run, each once."""
    keys = [asset_key(source) for source in sources] + [asset for source in sources for asset in computed_from(source)]
    return list(dict.fromkeys(keys))


def definitions_of(job: ScheduledJob) -> tuple[dg.UnresolvedAssetJobDefinition, dg.ScheduleDefinition]:
    """Create the Dagster job and its schedule, which is on from the first start."""
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
        cron_schedule=job.crons[0] if len(job.crons) == 1 else list(job.crons),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=job.description,
        execution_fn=_runs_of(job) if job.buckets or job.members else None,
        required_resource_keys={"platform"} if job.members else None,
    )
    return defined, schedule


def _runs_of(job: ScheduledJob) -> Callable[[dg.ScheduleEvaluationContext], Iterator[dg.RunRequest | dg.SkipReason]]:
    def requests(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        tick = context.scheduled_execution_time
        due = [source for source in job.members if any(is_due(cron, tick) for cron in source.crons)]
        if job.members and not due:
            yield dg.SkipReason("No source of this job is due.")
            return
        ready, refusals = launchable(context.resources.platform, due, utc_now()) if due else ([], [])
        if due and not ready:
            yield dg.SkipReason("; ".join(refusals))
            return
        if job.members and job.members[0].per_account:
            yield from account_requests(context, job.members[0])
            return
        selection = assets_of(ready) if len(ready) < len(job.members) else None
        for bucket in job.buckets or (None,):
            yield dg.RunRequest(run_key=f"{tick.isoformat()} {bucket or ''}".strip(), asset_selection=selection, partition_key=bucket)

    return requests
