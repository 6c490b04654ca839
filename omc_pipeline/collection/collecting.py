"""Collect one source, each endpoint separately: fetch, parse, append, quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omc_infra.clock import Clock, utc_now
from omc_infra.errors import OmcError, PermanentError, RetryableError
from omc_infra.settings import Settings
from omc_pipeline.collection.accounts import Account
from omc_pipeline.collection.attempt import opening
from omc_pipeline.collection.collector import Outcome, collector
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Endpoint, Source
from omc_pipeline.collection.state import CollectorKey
from omc_pipeline.collection.tally import Collection, together

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database


def collect(
    source: Source,
    database: Database,
    settings: Settings,
    clock: Clock = utc_now,
    *,
    config: SourceConfig | None = None,
    endpoints: Sequence[Endpoint] | None = None,
    account: Account | None = None,
    run_id: str | None = None,
) -> Collection:
    """Fetch new data and append it to the ledger; only one collection of a source (and account) runs at a time.

    Args:
        source: What to collect.
        database: Where to.
        settings: Profile, keys, and in the sandbox profile a running sandbox.
        clock: Stamps what is fetched.
        config: The source's options; None: the defaults.
        endpoints: Those to ask; None: all.
        account: Whose data a private API is asked for; None: the configured user's.
        run_id: The run that asks, kept with each fetch; None: one of its own.

    Raises:
        NotConfiguredError: Live, and a key is missing.
        PayloadChangedError: A body couldn't be parsed, or none of the rows could be trusted; raised after the other payloads
            were handled. The body stays in the raw store, the rows in quarantine.
        OmcError: The upstream's or the database's failure; an endpoint's after the other endpoints were asked.
    """
    outcomes = collect_endpoints(source, database, settings, clock, config=config, endpoints=endpoints, account=account, run_id=run_id)
    failure = first_failure(outcomes)
    if failure is not None:
        raise failure
    return together([outcome.collection for outcome in outcomes])


def collect_endpoints(
    source: Source,
    database: Database,
    settings: Settings,
    clock: Clock = utc_now,
    *,
    config: SourceConfig | None = None,
    endpoints: Sequence[Endpoint] | None = None,
    account: Account | None = None,
    run_id: str | None = None,
) -> list[Outcome]:
    """Collect endpoints one after another; the others are collected even if one fails. Arguments as for ``collect``.

    Returns:
        One outcome an endpoint, in their order.

    Raises:
        NotConfiguredError: Live, and a key is missing.
        DatabaseUnavailableError: The connection to PostgreSQL was lost: nothing more can be stored.
    """
    asked = source.wanted(config or source.config(), endpoints)
    keys = [CollectorKey(source.name, endpoint.name, account.account_id if account else "") for endpoint in asked]
    with (
        opening(database, keys, settings.pause_after_failures, clock),
        collector(source, database, settings, clock, config=config, account=account, run_id=run_id) as collecting,
    ):
        return [collecting.outcome(endpoint) for endpoint in asked]


def first_failure(outcomes: Sequence[Outcome]) -> OmcError | None:
    """Return the error of a run, given the errors of its endpoints; None if there are none.

    A permanent error is preferred, so that it is not retried because of another, retryable one; its
    message includes all errors.
    """
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    failures = [outcome.failure for outcome in failed if outcome.failure is not None]
    if len(failures) < 2:
        return failures[0] if failures else None
    chosen = next((failure for failure in failures if isinstance(failure, PermanentError)), failures[0])
    details = "; ".join(f"{outcome.endpoint}: {outcome.failure}" for outcome in failed)
    if isinstance(chosen, RetryableError):
        waits = [failure.retry_after_s for failure in failures if isinstance(failure, RetryableError) and failure.retry_after_s]
        return type(chosen)(details, retry_after_s=max(waits, default=None))
    return type(chosen)(details)
