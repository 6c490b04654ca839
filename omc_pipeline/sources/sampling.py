"""Several samples in one run: a run costs more to start than a quote costs to fetch.

A scheduled run of a source with ``sample_every_s`` collects at once, then at the marks of its own minute (or whatever its cadence
is) that are still to come. It ends before the next run is due, however late it was started, so two never overlap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING

from omc_infra.clock import Clock, utc_now
from omc_infra.settings import Settings
from omc_pipeline.collection.accounts import AccountRow
from omc_pipeline.sources.collect import Collection, collect
from omc_pipeline.sources.source import Source

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

Sleep = Callable[[float], None]


def collect_samples(
    source: Source,
    database: Database,
    settings: Settings,
    tick: datetime | None,
    clock: Clock = utc_now,
    sleep: Sleep = time.sleep,
    *,
    account: AccountRow | None = None,
) -> Sequence[Collection]:
    """Collect a source once, and where it is sampled, at each mark until the next run is due.

    Args:
        source: What to collect.
        database: Where to.
        settings: As for ``collect``.
        tick: When the run was due by its schedule; None, a run on demand, takes one sample.
        clock: Tells when to sample, and stamps what is fetched.
        sleep: Waits some seconds.
        account: As for ``collect``.

    Returns:
        One collection a sample, in order.

    Raises:
        OmcError: As ``collect``; the samples before are in the ledger.
    """
    samples = [collect(source, database, settings, clock, account=account)]
    while (mark := next_mark(source, tick, clock())) is not None:
        sleep(max(0.0, (mark - clock()).total_seconds()))
        samples.append(collect(source, database, settings, clock, account=account))
    return samples


def next_mark(source: Source, tick: datetime | None, now: datetime) -> datetime | None:
    """Answer when to sample next, or None where the next run is to do it; a mark that is all but there counts as sampled."""
    if tick is None or source.sample_every_s is None:
        return None
    step = timedelta(seconds=source.sample_every_s)
    mark = tick + step * (max(0, (now + step / 3 - tick) // step) + 1)
    return mark if mark < tick + timedelta(seconds=source.every_s) else None


def together(samples: Sequence[Collection]) -> Collection:
    """Sum the samples of one run; lateness is that of the last."""
    return reduce(_added, samples)


def _added(earlier: Collection, later: Collection) -> Collection:
    observed_from = [moment for moment in (earlier.observed_from, later.observed_from) if moment]
    observed_to = [moment for moment in (earlier.observed_to, later.observed_to) if moment]
    return Collection(
        source=later.source,
        tables={name: earlier.tables[name] + did for name, did in later.tables.items()},
        quarantined=earlier.quarantined + later.quarantined,
        payloads=earlier.payloads + later.payloads,
        observed_from=min(observed_from, default=None),
        observed_to=max(observed_to, default=None),
        lateness_s=later.lateness_s,
    )
