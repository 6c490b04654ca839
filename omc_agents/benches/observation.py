"""A running platform watched for a while: samples, events landed, what came late, what failed, what grew."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import sqlalchemy as sa

from omc_agents.benches.landing import await_briefs, briefed, doubled, land
from omc_agents.benches.samples import Sample, take_sample
from omc_infra.clock import utc_now
from omc_infra.errors import UpstreamUnavailableError

if TYPE_CHECKING:
    from omc_infra.services.platform import RunningPlatform

EVENTS = "soak"
_WARM_UP_SHARE, _LONGEST_WARM_UP_S = 0.25, 300.0
_LOOK_S = 1.0
_FETCHES = "SELECT source, array_agg(fetched_at ORDER BY fetched_at) FROM raw.fetch GROUP BY source"
_RUNS = "SELECT status, count(*) FROM dagster.runs GROUP BY status"


@dataclass
class Observed:
    """What was seen while the platform ran.

    Attributes:
        began: When the first sample was taken.
        ended: When the last one was.
        samples: In order.
        landed: Events landed meanwhile.
        said: What the platform said meanwhile: services that ended, ticks that failed, statements that were ended.
        rows: Facts gained, by ledger.
        grown_mb: What each table with its indexes gained, the largest first.
        runs: Number of runs by how they ended.
        late: The longest that a source was late, in its cadences.
        lost: Events that had no brief in the end.
        doubled: Briefs too many.
    """

    began: datetime
    ended: datetime
    samples: list[Sample] = field(default_factory=list)
    landed: int = 0
    said: list[str] = field(default_factory=list)
    rows: Mapping[str, int] = field(default_factory=dict)
    grown_mb: Mapping[str, float] = field(default_factory=dict)
    runs: Mapping[str, int] = field(default_factory=dict)
    late: Mapping[str, float] = field(default_factory=dict)
    lost: int = 0
    doubled: int = 0


def observe(seconds: float, every: float, event_every: float) -> Observed:
    """Run a platform of its own and look at it.

    Args:
        seconds: How long.
        every: Seconds between two samples.
        event_every: Seconds between two events.
    """
    from omc_agents.benches.platform_run import bench_platform
    from omc_infra.postgres.growth import table_sizes

    with bench_platform("warm") as bench:
        platform = bench.platform
        observed = Observed(utc_now(), utc_now())
        rows, sizes = _rows(platform), table_sizes(platform.database)
        _watch(platform, observed, seconds, every, event_every)
        observed.ended = utc_now()
        observed.late = _lateness(platform, observed)
        try:
            await_briefs(platform.database, EVENTS, observed.landed, 60.0)
        except UpstreamUnavailableError:
            observed.lost = observed.landed - briefed(platform.database, EVENTS)
        observed.doubled = doubled(platform.database, EVENTS)
        observed.rows = {ledger: count - rows[ledger] for ledger, count in _rows(platform).items()}
        before = {(size.schema, size.table): size.size_bytes for size in sizes}
        grown = {f"{s.schema}.{s.table}": (s.size_bytes - before.get((s.schema, s.table), 0)) / 1e6 for s in table_sizes(platform.database)}
        observed.grown_mb = dict(sorted(grown.items(), key=lambda item: -item[1]))
        with platform.database.engine("dagster").connect() as connection:
            observed.runs = {status: int(count) for status, count in connection.execute(sa.text(_RUNS))}
    return observed


def _watch(platform: RunningPlatform, observed: Observed, seconds: float, every: float, event_every: float) -> None:
    begun = time.monotonic()
    sampled = landed = 0
    while (now := time.monotonic() - begun) < seconds:
        if now >= sampled * every:
            observed.samples.append(take_sample(platform))
            sampled += 1
        if now >= landed * event_every:
            land(platform.database, EVENTS, first=landed)
            landed += 1
        observed.said += platform.watch()
        time.sleep(_LOOK_S)
    observed.landed = landed


def _rows(platform: RunningPlatform) -> dict[str, int]:
    from omc_agents.demonstration.stages import rows_of
    from omc_pipeline.ledgers.table import LEDGERS

    return {ledger: sum(rows_of(platform, ledger).values()) for ledger in LEDGERS}


def _lateness(platform: RunningPlatform, observed: Observed) -> dict[str, float]:
    """Return the longest that each source was late, in its cadences: the longest wait for a fetch, less one cadence."""
    from omc_pipeline.collection.discovery import discover_sources

    with platform.database.engine("reader").connect() as connection:
        fetched: dict[str, Sequence[datetime]] = dict(connection.execute(sa.text(_FETCHES)).all())
    return {
        source.name: max(0.0, longest_wait_s(fetched.get(source.name, ()), observed) / source.every_s - 1)
        for source in discover_sources().values()
    }


def longest_wait_s(fetched: Sequence[datetime], observed: Observed) -> float:
    """Return the longest time without a fetch, counted from the last one before the observation began, to its end."""
    before = [moment for moment in fetched if moment < observed.began]
    moments = [*before[-1:], *(moment for moment in fetched if observed.began <= moment < observed.ended), observed.ended]
    return max((later - earlier).total_seconds() for earlier, later in pairwise([*([] if before else [observed.began]), *moments]))


def warm_samples(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return the samples after the warm-up: the first quarter of the time, at most five minutes."""
    begun = samples[0].at_s
    warm_up_s = min(_LONGEST_WARM_UP_S, (samples[-1].at_s - begun) * _WARM_UP_SHARE)
    return [sample for sample in samples if sample.at_s - begun >= warm_up_s]


def memory_series(samples: Sequence[Sample]) -> dict[str, list[float]]:
    """Return the memory of all, and of each kind of process that is always there, over the samples."""
    kinds = [kind for kind in samples[0].uses if all(kind in sample.uses for sample in samples)]
    return {"all but runs": [s.memory_mb for s in samples], **{kind: [s.uses[kind].memory_mb for s in samples] for kind in kinds}}
