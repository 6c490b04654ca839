"""Collect one source: its connection, its HTTP client and its options; the endpoints one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from psycopg import sql

from omc_infra.clock import Clock
from omc_infra.errors import OmcError, UpstreamRefusedError
from omc_infra.http import HttpClient, PostgresLimits, open_http
from omc_infra.objects import Objects
from omc_infra.payload import Payload
from omc_infra.settings import Settings
from omc_pipeline.collection.accounts import Account, next_nonce
from omc_pipeline.collection.attempt import recorded
from omc_pipeline.collection.derived import derive, latest_rows
from omc_pipeline.collection.equipment import chosen_hosts, source_account, source_keys
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.parsing import ENDPOINT, OPTIONS
from omc_pipeline.collection.recording import MarkingStore, store_options
from omc_pipeline.collection.source import Endpoint, FetchContext, LedgerInput, Source
from omc_pipeline.collection.state import CollectorKey, states
from omc_pipeline.collection.tally import Collection, Tally
from omc_pipeline.collection.window import Window
from omc_pipeline.collection.writing import writing
from omc_pipeline.ledgers.bodies import bodies_of
from omc_pipeline.ledgers.knowledge import advance_watermarks
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.ledgers.table import LedgerTable

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

_AHEAD = timedelta(days=1)
"""So far beyond the present rows count as held: clocks differ."""


Progress = Callable[[Collection], None]
"""Is told what a collection has stored so far."""


@dataclass(frozen=True)
class Outcome:
    """The result of collecting one endpoint.

    Attributes:
        endpoint: Its name.
        collection: What was stored, also where it failed.
        failure: Why it failed; None where it did not.
        seconds: How long it took.
    """

    endpoint: str
    collection: Collection
    failure: OmcError | None
    seconds: float


@dataclass(frozen=True)
class Collector:
    """One source that is being collected; created by ``collector``.

    Attributes:
        source: What is collected.
        connection: Of role writer, holding the source.
        config: The source's options.
        raw: Where bodies go.
        account: Whose data is asked for.
        clock: Tells the present.
        http: The polite client; None for a source that asks nobody.
        pause_after: Permanent failures in a row after which an endpoint is paused; 0: never.
        bodies: Where bodies lie that are not in the database.
    """

    source: Source
    connection: psycopg.Connection[Any]
    config: SourceConfig
    raw: MarkingStore
    account: Account | None
    clock: Clock
    http: HttpClient | None
    pause_after: int = 0
    bodies: Objects | None = None

    def outcome(self, endpoint: Endpoint) -> Outcome:
        """Collect one endpoint, store its rows and record the result; an error is part of the result."""
        tally, began = Tally(self.source, bodies=self.bodies), time.monotonic()
        try:
            self._collect(endpoint, tally)
            failure = tally.kept_failure()
        except OmcError as error:
            failure = tally.failure or error
        counts, seconds, account_id = tally.counts(), time.monotonic() - began, self.account.account_id if self.account else ""
        failure = recorded(
            self.connection,
            CollectorKey(self.source.name, endpoint.name, account_id),
            self._description(failure),
            rows=counts.rows,
            seconds=seconds,
            now=self.clock(),
            pause_after=self.pause_after,
        )
        return Outcome(endpoint.name, counts, failure, seconds)

    def _description(self, failure: OmcError | None) -> OmcError | None:
        """Return an error without secrets, and store its ban for later requests."""
        if failure is None or self.http is None:
            return failure
        self.http.report(failure)
        cleaned = self.http.redactor.failure(failure)
        return cleaned if isinstance(cleaned, OmcError) else failure

    def context(
        self, since: datetime | None = None, needs: Sequence[tuple[Any, ...]] = (), asked_at: datetime | None = None
    ) -> FetchContext:
        """Return the context of a fetch: the newest known time, and the data that the ledgers lack.

        Raises:
            UpstreamRefusedError: The source has no policy.
        """
        if self.http is None:
            raise UpstreamRefusedError(f"{self.source.name} has a fetch function, but no policy")
        return FetchContext(self.http, self.config, self.clock(), since, self.account, self._held, needs, asked_at)

    def _held(self, table: LedgerTable, since: datetime) -> list[dict[str, Any]]:
        now = self.clock()
        reads, window = LedgerInput(table, (self.source.name,)), Window(since, now + _AHEAD)
        return latest_rows(self.connection, reads, window, now + _AHEAD)

    def take(
        self, payloads: Iterable[Payload], tally: Tally, progress: Progress = lambda _collection: None, *, may_be_none: bool = False
    ) -> None:
        """Parse and store payloads as they arrive; ``progress`` is called after each one with the result so far.

        Raises:
            UpstreamRefusedError: There was no payload, and ``may_be_none`` is False.
        """
        for payload in payloads:
            # An unchanged body is parsed again, too: whoever stored it may have died before its rows were in.
            tally.take(self.connection, self.raw.marked(payload), self.config)
            progress(tally.counts())
        if not tally.payloads and not may_be_none:
            raise UpstreamRefusedError(f"{self.source.name}: fetched no payload")

    def _collect(self, endpoint: Endpoint, tally: Tally) -> None:
        self.raw.marks[ENDPOINT] = endpoint.name
        if endpoint.fetch is not None:
            context = self.context(self._since(endpoint), self.needs(endpoint), self._asked_at(endpoint))
            self.take(endpoint.fetch(context), tally, may_be_none=endpoint.only_on_need)
        else:
            derive(self, endpoint, tally)

    def _asked_at(self, endpoint: Endpoint) -> datetime | None:
        key = CollectorKey(self.source.name, endpoint.name, self.account.account_id if self.account else "")
        return states(self.connection, self.source.name).of(key).last_success_at

    def needs(self, endpoint: Endpoint) -> Sequence[tuple[Any, ...]]:
        """Return the data that the ledgers lack, found by the endpoint's statement."""
        if not endpoint.needs:
            return ()
        with self.connection.transaction():
            return self.connection.execute(endpoint.needs, {"source": self.source.name, "now": self.clock()}).fetchall()

    def _since(self, endpoint: Endpoint) -> datetime | None:
        """Return the newest clock value, at most now, of the table that is furthest behind, or None if a table is empty."""
        newest, now = list[datetime](), self.clock()
        for table in self.source.tables_of(endpoint):
            is_own = table.per_user and self.account is not None
            statement = sql.SQL("SELECT max({clock}) FROM {} WHERE source = %(source)s AND {clock} <= %(now)s{}").format(
                sql.Identifier(table.ledger, table.name),
                sql.SQL(" AND user_id = %(user_id)s AND account_id = %(account_id)s" if is_own else ""),
                clock=sql.Identifier(table.clock),
            )
            bound = {"source": self.source.name, "now": now, **(self.account.context if self.account else {})}
            with self.connection.transaction():
                row = self.connection.execute(statement, bound).fetchone()
            if row is None or row[0] is None:
                return None
            newest.append(row[0])
        return min(newest)


def _nonces(connection: psycopg.Connection[Any], account: Account | None, clock: Clock) -> Callable[[], int] | None:
    """Return a function for the nonces of an account, which increase across all processes; None without an account."""
    if account is None:
        return None
    return lambda: next_nonce(connection, account.account_id, clock())


@contextmanager
def collector(
    source: Source,
    database: Database,
    settings: Settings,
    clock: Clock,
    *,
    config: SourceConfig | None = None,
    account: Account | None = None,
    run_id: str | None = None,
) -> Iterator[Collector]:
    """Open a source's connection and client, and lock the source until the block ends; arguments as for ``collect``.

    Raises:
        NotConfiguredError: Live, and a key is missing.
        DatabaseUnavailableError: PostgreSQL does not answer, or the connection was lost.
    """
    config, account = config or source.config(), account or source_account(source, database, settings)
    keys = source_keys(source, account, settings)
    with writing(database, source, account) as connection, ExitStack() as stack:
        bodies = bodies_of(settings)
        raw = MarkingStore(PostgresRawStore(connection, bodies), {OPTIONS: store_options(connection, source, config)})
        http, policy = None, source.policy_with(config, account)
        if policy is not None:
            opened = open_http(
                source.name,
                policy,
                settings,
                keys=keys,
                raw=raw,
                limits=PostgresLimits(connection),
                clock=clock,
                scrub=source.scrub,
                run_id=run_id or str(uuid4()),
                live_urls=chosen_hosts(config),
                nonce=_nonces(connection, account, clock),
            )
            http = stack.enter_context(opened)
        yield Collector(source, connection, config, raw, account, clock, http, settings.pause_after_failures, bodies)
        advance_watermarks(connection)  # of the tables nothing was written to, too: that nothing came is known now
