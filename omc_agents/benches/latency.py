"""``omc bench latency``: events land while the whole platform runs; from commit to brief, beside Dagster's default launcher."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import median, quantiles
from typing import Any

import click
import sqlalchemy as sa

from omc_agents.benches.landing import await_briefs, event_prefix, land
from omc_agents.sessions.dispatch import BATCH_SIZE
from omc_infra.bench import Figure
from omc_infra.cli import FiniteRange, json_option
from omc_infra.clock import utc_now
from omc_infra.commands.bench import print_figures

_STEPS = ("committed", "run created", "run launched", "first step", "briefed")
_EVENTS = """
SELECT d.batch_id::text AS batch, o.recorded_at AS committed, b.published_at AS briefed
FROM catalyst.outbox o JOIN agents.dispatch d USING (source, event_id) JOIN agents.brief b USING (source, event_id)
WHERE o.event_id LIKE :prefix ORDER BY o.recorded_at
"""
_LARGEST_BATCH = """
SELECT max(events) FROM (SELECT count(*) AS events FROM agents.dispatch WHERE event_id LIKE :prefix GROUP BY batch_id) batches
"""
_QUOTES = """
SELECT fetched_at FROM raw.fetch WHERE source = 'exchange_coinspot_prices' AND fetched_at BETWEEN :since AND :until ORDER BY fetched_at
"""
QUOTE_CADENCE_S = 15
_RUNS = """
SELECT t.value AS batch, r.create_timestamp AT TIME ZONE 'UTC' AS created,
       (SELECT min(e.timestamp) FROM dagster.event_logs e WHERE e.run_id = r.run_id AND e.dagster_event_type = 'PIPELINE_STARTING')
           AT TIME ZONE 'UTC' AS launched,
       (SELECT min(e.timestamp) FROM dagster.event_logs e WHERE e.run_id = r.run_id AND e.dagster_event_type = 'STEP_START')
           AT TIME ZONE 'UTC' AS stepped
FROM dagster.run_tags t JOIN dagster.runs r USING (run_id) WHERE t.key = 'omc/batch'
"""
"""Dagster's tables are the writer's alone, the agents' are not his: two questions."""


@dataclass(frozen=True)
class Measured:
    """What one platform showed: durations in seconds, and how many events had no brief or two.

    ``burst_batch`` is the largest batch of the burst, ``burst_quote_wait_s`` the longest that no quotes were collected meanwhile.
    """

    total: Sequence[float]
    steps: Sequence[Sequence[float]]
    run_start: Sequence[float]
    burst_s: float
    burst_batch: int
    burst_quote_wait_s: float
    lost: int
    doubled: int
    trivial_cpu_s: float
    collection_cpu_s: float


@click.command(epilog="Exit code 1: an event got no brief, or two.")
@click.option(
    "--events", type=click.IntRange(1, 1_000_000), default=200, show_default=True, help="Number of events published one after another."
)
@click.option(
    "--burst",
    type=click.IntRange(0, 1_000_000),
    default=500,
    show_default=True,
    help="Number of events published at the same time after that.",
)
@click.option("--spacing", type=FiniteRange(0, 3600), default=1.0, show_default=True, help="Seconds between two events.")
@click.option(
    "--baseline-events",
    type=click.IntRange(1, 1_000_000),
    default=12,
    show_default=True,
    help="Number of events with Dagster's default launcher, twelve times as far apart.",
)
@click.option(
    "--runs", type=click.IntRange(1, 1000), default=5, show_default=True, help="Number of runs of each kind to measure the CPU time of."
)
@json_option
def latency(*, events: int, burst: int, spacing: float, baseline_events: int, runs: int, as_json: bool) -> None:
    """Measure the time from event to brief with all schedules on: p50, p95 and maximum."""
    warm = _measure("warm", events, spacing, burst, runs)
    default = _measure("default", baseline_events, spacing * 12, 0, runs)
    print_figures("latency", _figures(warm, default), as_json=as_json)
    if warm.lost or warm.doubled:
        raise click.exceptions.Exit(1)


def _measure(launcher: Any, events: int, spacing: float, burst: int, runs: int) -> Measured:
    from omc_agents.benches.platform_run import bench_platform

    with bench_platform(launcher) as bench:
        database = bench.platform.database
        trivial, collection = _cpu(bench, runs)
        for number in range(events):
            land(database, "single", first=number)
            time.sleep(spacing)
        await_briefs(database, "single", events)
        begun, since = time.monotonic(), utc_now()
        if burst:
            land(database, "burst", burst)
            await_briefs(database, "burst", burst)
        burst_s, until = time.monotonic() - begun, utc_now()
        with database.engine("reader").connect() as connection:
            rows = connection.execute(sa.text(_EVENTS), {"prefix": f"{event_prefix('single')}%"}).all()
            batch = connection.execute(sa.text(_LARGEST_BATCH), {"prefix": f"{event_prefix('burst')}%"}).scalar_one()
            quotes = [moment for (moment,) in connection.execute(sa.text(_QUOTES), {"since": since, "until": until})]
            briefs = connection.execute(sa.text("SELECT count(*), count(DISTINCT event_id) FROM agents.brief")).one()
        with database.engine("dagster").connect() as connection:
            of_batch = {run.batch: run for run in connection.execute(sa.text(_RUNS))}
    runs_of = [of_batch[row.batch] for row in rows]
    moments = [(row.committed, run.created, run.launched, run.stepped, row.briefed) for row, run in zip(rows, runs_of, strict=True)]
    spans = [[(later - earlier).total_seconds() for earlier, later in pairwise(moment)] for moment in moments]
    return Measured(
        total=[(row.briefed - row.committed).total_seconds() for row in rows],
        steps=list(zip(*spans, strict=True)),
        run_start=[(run.stepped - run.launched).total_seconds() for run in runs_of],
        burst_s=burst_s,
        burst_batch=int(batch or 0),
        burst_quote_wait_s=max((later - earlier).total_seconds() for earlier, later in pairwise([since, *quotes, until])),
        lost=1 + events + burst - int(briefs[1]),
        doubled=int(briefs[0]) - int(briefs[1]),
        trivial_cpu_s=trivial,
        collection_cpu_s=collection,
    )


def _cpu(bench: Any, runs: int) -> tuple[float, float]:
    """Measure the CPU a run costs: of a batch that is done, which does nothing, and of one source's collection with its checks."""
    nothing = bench.batch_of_nothing()
    idle = _idle_cpu_rate(bench)
    return (
        _cpu_of_runs(bench, partial(bench.launch, "omc_agents", "brief_catalysts", nothing), runs, idle),
        _cpu_of_runs(bench, partial(bench.launch, "omc_pipeline", "collect_human", asset="human/fear_greed"), runs, idle),
    )


def _idle_cpu_rate(bench: Any) -> float:
    before, begun = bench.cpu_s(), time.monotonic()
    time.sleep(10)
    return float((bench.cpu_s() - before) / (time.monotonic() - begun))


def _cpu_of_runs(bench: Any, launch: Callable[[], str], runs: int, idle: float) -> float:
    bench.await_run(launch())
    before, begun = bench.cpu_s(), time.monotonic()
    for _ in range(runs):
        bench.await_run(launch())
    time.sleep(1)
    used = float(bench.cpu_s() - before)
    own = used - idle * (time.monotonic() - begun)
    return (own if own > 0 else used) / runs  # a platform that was still busy starting has no idle rate to take off


def _figures(warm: Measured, default: Measured) -> list[Figure]:
    beside = "Dagster's default launcher"

    def duration(what: str, value: float, other: float | None) -> Figure:
        return Figure(what, round(value, 3), "s", beside if other is not None else None, other and round(other, 3), higher_is_better=False)

    figures = [
        duration("run start p50 (launched to first step)", median(warm.run_start), median(default.run_start)),
        duration("brief p50 (committed to published)", median(warm.total), median(default.total)),
        duration("brief p95", _p95(warm.total), _p95(default.total)),
        duration("brief longest", max(warm.total), max(default.total)),
        duration("cpu of a trivial run", warm.trivial_cpu_s, default.trivial_cpu_s),
        duration("cpu of a collection run", warm.collection_cpu_s, default.collection_cpu_s),
        *(
            duration(f"{earlier} to {later} p50", median(mine), median(theirs))
            for (earlier, later), mine, theirs in zip(pairwise(_STEPS), warm.steps, default.steps, strict=True)
        ),
        Figure("events lost", warm.lost, "events"),
        Figure("events doubled", warm.doubled, "events"),
    ]
    if warm.burst_batch:
        figures += [
            duration("burst, all briefed", warm.burst_s, None),
            Figure("burst, largest batch", warm.burst_batch, "events", "limit", BATCH_SIZE, higher_is_better=False),
            Figure(
                "burst, longest without quotes", round(warm.burst_quote_wait_s, 1), "s", "cadence", QUOTE_CADENCE_S, higher_is_better=False
            ),
        ]
    return figures


def _p95(values: Sequence[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
