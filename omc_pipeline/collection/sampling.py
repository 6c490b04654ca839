"""Several samples in one run, because starting a run costs more than fetching a quote.

A scheduled run collects the endpoints that are due at once, and those with ``sample_every_s`` again at the marks of their minute (or
other cadence) that are still to come. It ends before the next run is due, however late it started, so two runs never
overlap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from omc_infra.clock import Clock, utc_now
from omc_infra.settings import Settings
from omc_pipeline.collection.accounts import Account
from omc_pipeline.collection.cadence import due_endpoints
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Endpoint, Source
from omc_pipeline.collection.state import CollectorKey, states
from omc_pipeline.collection.tally import Collection

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

Sleep = Callable[[float], None]


def each_sample(
    source: Source,
    database: Database,
    settings: Settings,
    tick: datetime | None,
    clock: Clock = utc_now,
    sleep: Sleep = time.sleep,
    *,
    config: SourceConfig | None = None,
    account: Account | None = None,
    run_id: str | None = None,
) -> Iterator[Collection]:
    """Collect the due endpoints of a source once, and its sampled endpoints at each mark until the next run is due.

    Args:
        source: What to collect.
        database: Where to.
        settings: As for ``collect``.
        tick: When the run was due by its schedule; None, a run on demand, asks every endpoint and takes one sample.
        clock: Tells when to sample, and stamps what is fetched.
        sleep: Waits some seconds.
        config: As for ``collect``.
        account: As for ``collect``.
        run_id: As for ``collect``.

    Yields:
        One collection a sample, as soon as it is in the ledger.

    Raises:
        OmcError: As ``collect``; the samples before are in the ledger.
    """
    due = _may_be_asked(due_endpoints(source, tick), source, database, account, clock()) if tick else source.endpoints
    yield collect(source, database, settings, clock, config=config, endpoints=due, account=account, run_id=run_id)
    while (coming := _next_sample(due, tick, clock())) is not None:
        mark, sampled = coming
        sleep(max(0.0, (mark - clock()).total_seconds()))
        yield collect(source, database, settings, clock, config=config, endpoints=sampled, account=account, run_id=run_id)


def _may_be_asked(
    due: Sequence[Endpoint], source: Source, database: Database, account: Account | None, now: datetime
) -> Sequence[Endpoint]:
    """Leave out paused or banned endpoints; if all are, the run was started anyway, so collect all."""
    if len(due) < 2:
        return due
    with database.connect("writer") as connection:
        known = states(connection, source.name)
    of_account = account.account_id if account else ""
    return [each for each in due if known.may_launch(CollectorKey(source.name, each.name, of_account), now)] or due


def _next_sample(due: Sequence[Endpoint], tick: datetime | None, now: datetime) -> tuple[datetime, Sequence[Endpoint]] | None:
    marks = [(mark, endpoint) for endpoint in due if (mark := next_mark(endpoint, tick, now)) is not None]
    if not marks:
        return None
    first = min(mark for mark, _ in marks)
    return first, [endpoint for mark, endpoint in marks if mark == first]


def next_mark(endpoint: Endpoint, tick: datetime | None, now: datetime) -> datetime | None:
    """Return the time of the next sample, or None if the next run takes it; a mark that is almost reached counts as sampled."""
    if tick is None or endpoint.sample_every_s is None:
        return None
    step = timedelta(seconds=endpoint.sample_every_s)
    mark = tick + step * (max(0, (now + step / 3 - tick) // step) + 1)
    return mark if mark < tick + timedelta(seconds=endpoint.every_s) else None
