"""Collect a range of past days in one run, with one connection and one client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omc_infra.clock import Clock, utc_now
from omc_infra.errors import BadInputError
from omc_infra.settings import Settings
from omc_pipeline.collection.accounts import Account
from omc_pipeline.collection.attempt import attempt
from omc_pipeline.collection.collector import Progress, collector
from omc_pipeline.collection.derived import derive_window
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.parsing import ENDPOINT, HISTORY, WINDOW
from omc_pipeline.collection.source import History, Source
from omc_pipeline.collection.state import CollectorKey
from omc_pipeline.collection.tally import Collection, Tally
from omc_pipeline.collection.window import Window

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database


def collect_history(
    source: Source,
    database: Database,
    settings: Settings,
    window: Window,
    clock: Clock = utc_now,
    *,
    config: SourceConfig | None = None,
    account: Account | None = None,
    run_id: str | None = None,
    progress: Progress = lambda _collection: None,
) -> Collection:
    """Collect a past window into the ledger; a derived source computes it again from its input.

    Args:
        source: What to collect.
        database: Where to.
        settings: As for ``collect``.
        window: Whole days.
        clock: Stamps what is fetched.
        config: The source's options; None: the defaults.
        account: As for ``collect``.
        run_id: As for ``collect``.
        progress: Is told after each payload what has been stored so far.

    Raises:
        BadInputError: The source can't collect past days, or not so far back.
        PayloadChangedError: As for ``collect``.
        OmcError: The upstream's or the database's failure; what came before it is in the ledger.
    """
    history = readable_history(source, window)
    key = CollectorKey(source.name, HISTORY, account.account_id if account else "")
    with (
        attempt(database, key, 0, clock) as made,
        collector(source, database, settings, clock, config=config, account=account, run_id=run_id) as collecting,
    ):
        tally = Tally(source, bodies=collecting.bodies)
        collecting.raw.marks.update({ENDPOINT: HISTORY, WINDOW: str(window)})
        if history.fetch is not None:
            needs = [need for endpoint in source.endpoints for need in collecting.needs(endpoint)]
            collecting.take(history.fetch(collecting.context(needs=needs), window), tally, progress)
        else:
            for endpoint in source.endpoints:
                derive_window(collecting, endpoint, window, tally)
        made.rows = tally.counts().rows
        failure = tally.kept_failure()
        if failure is not None:
            raise failure
    return tally.counts()


def readable_history(source: Source, window: Window) -> History:
    """Return how a source reads a window of the past.

    Raises:
        BadInputError: It can't, or not so far back.
    """
    if source.history is None:
        raise BadInputError(f"{source.name} can't collect past days")
    if window.first_day < source.history.first_day:
        raise BadInputError(f"{source.name} can collect past days from {source.history.first_day} on only, not from {window.first_day}")
    return source.history
