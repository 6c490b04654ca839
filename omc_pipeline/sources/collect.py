"""Collect one source: fetch, parse, append, quarantine; and replay what was fetched before.

Each payload is one transaction, so what came before a failure is kept, and an event and its announcement stand or fall together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from pydantic import SecretStr

from omc_infra.clock import Clock, utc_now
from omc_infra.errors import (
    DatabaseUnavailableError,
    NotConfiguredError,
    OmcError,
    PayloadChangedError,
    RetryableError,
    UpstreamRefusedError,
)
from omc_infra.http import PostgresLimits, open_http
from omc_infra.payload import Payload
from omc_infra.settings import Settings
from omc_pipeline.collection.attempt import attempt
from omc_pipeline.collection.state import CollectorKey
from omc_pipeline.ledgers.knowledge import advance_watermarks
from omc_pipeline.ledgers.quarantine import Refused, quarantine, resolve
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.ledgers.write import Appended, append
from omc_pipeline.sandbox.keys import SANDBOX_KEYS
from omc_pipeline.sources.readiness import not_configured_reason
from omc_pipeline.sources.source import FetchContext, Parsed, Source

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

_WAIT_FOR_OTHER_S = 120
_OF_ONE_PAYLOAD = (PayloadChangedError, UpstreamRefusedError)
"""Failures that say nothing of the source's other payloads."""


@dataclass(frozen=True)
class Collection:
    """What a collection or a replay did.

    Attributes:
        source: Name of the source.
        tables: What was appended, by qualified table name; all of the source's tables.
        quarantined: Rows refused.
        payloads: Bodies read.
        observed_from: Oldest clock value among the rows, or None without rows.
        observed_to: Newest.
        lateness_s: Seconds from the newest row's clock to the fetch of the last payload, or None without rows.
        resolved: Quarantined rows that a replay has accepted.
    """

    source: str
    tables: Mapping[str, Appended]
    quarantined: int = 0
    payloads: int = 0
    observed_from: datetime | None = None
    observed_to: datetime | None = None
    lateness_s: float | None = None
    resolved: int = 0

    @property
    def rows(self) -> int:
        """Distinct rows handed to the ledger, whether they were new or not."""
        return sum(appended.rows for appended in self.tables.values())


def collect(source: Source, database: Database, settings: Settings, clock: Clock = utc_now) -> Collection:
    """Fetch what is new and bring it into the ledger, and record how that went; one collection of a source runs at a time.

    Args:
        source: What to collect.
        database: Where to.
        settings: Profile, keys, and in the sandbox profile a running sandbox.
        clock: Stamps what is fetched.

    Raises:
        NotConfiguredError: Live, and a key is missing.
        PayloadChangedError: A body couldn't be parsed, or none of the rows could be trusted; raised after the other payloads
            were handled. The body stays in the raw store, the rows in quarantine.
        OmcError: The upstream's or the database's failure.
    """
    with attempt(database, CollectorKey(source.name), settings.pause_after_failures, clock) as made:
        collection = _collected(source, database, settings, clock)
        made.rows = collection.rows
    return collection


def _collected(source: Source, database: Database, settings: Settings, clock: Clock) -> Collection:
    keyed = equipped(source, settings)
    with _writing(database) as connection:
        _wait_for_others(connection, source)
        raw, tally = PostgresRawStore(connection), _Tally(source)
        limits = PostgresLimits(connection)
        with open_http(source.name, source.host, keyed, keys=keyed.keys, raw=raw, limits=limits, clock=clock) as http:
            for payload in source.fetch(FetchContext(http, keyed, clock(), _since(connection, source))):
                # An unchanged body is parsed again, too: whoever stored it may have died before its rows were in.
                tally.take(connection, payload)
            if tally.failure is not None:
                http.redactor.failure(tally.failure)
        advance_watermarks(connection)  # of the tables nothing was written to, too: that nothing came is known now
    if not tally.payloads:
        raise UpstreamRefusedError(f"{source.name}: fetched no payload at all")
    return tally.closed()


def replay(source: Source, database: Database, since: datetime, until: datetime) -> Collection:
    """Parse stored payloads again with the time they were fetched at, and close the quarantine of rows now accepted.

    Args:
        source: Whose payloads.
        database: Where they are.
        since: First fetch time.
        until: Fetch time before which to stop.

    Raises:
        PayloadChangedError: A body can still not be parsed; raised after the others were handled.
    """
    with _writing(database) as connection:
        _wait_for_others(connection, source)
        tally = _Tally(source)
        for payload in PostgresRawStore(connection).stored(source.name, since, until):
            tally.take(connection, payload, is_replay=True)
        with connection.transaction():
            tally.resolved = resolve(connection, source.name, tally.read, tally.refused)
    return tally.closed()


def parse_payload(source: Source, payload: Payload) -> Parsed:
    """Parse one payload, and make sure that its rows belong to the source's tables.

    Raises:
        PayloadChangedError: The body is not of the shape the source knows, or a row is of a foreign table.
        OmcError: The body is an error that the upstream reports.
    """
    parsed = source.parse(payload)
    foreign = {row.table.qualified for row in parsed.rows} - {table.qualified for table in source.tables}
    if foreign:
        raise PayloadChangedError(f"{source.name}: made rows for {', '.join(sorted(foreign))}, which is not among its tables")
    return parsed


@dataclass
class _Tally:
    """Takes payloads one by one and keeps the books."""

    source: Source
    tables: dict[str, Appended] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    payloads: int = 0
    observed: tuple[datetime, datetime] | None = None
    fetched_at: datetime | None = None
    failure: OmcError | None = None
    resolved: int = 0

    def take(self, connection: psycopg.Connection[Any], payload: Payload, *, is_replay: bool = False) -> None:
        """Parse and store one payload; a failure that is its own alone is kept for the end."""
        self.payloads += 1
        self.fetched_at = payload.fetched_at
        try:
            parsed = parse_payload(self.source, payload)
            appended, refused = _store(connection, payload, parsed, payload.fetched_at if is_replay else None)
        except _OF_ONE_PAYLOAD as error:
            self.failure = self.failure or error
            return
        self.read.add(payload.sha256)
        self.refused += refused
        for table, count in appended.items():
            self.tables[table] = self.tables.get(table, Appended()) + count
        clocks = [getattr(row, row.table.clock) for row in parsed.rows]
        if clocks:
            known = self.observed or (clocks[0], clocks[0])
            self.observed = min(known[0], *clocks), max(known[1], *clocks)

    def closed(self) -> Collection:
        """Answer the books, or raise the failure that was kept."""
        if self.failure is not None:
            raise self.failure
        if self.refused and not self.tables:
            reason = self.refused[0][0]
            raise PayloadChangedError(f"{self.source.name}: all {len(self.refused)} rows were refused, the first because {reason}")
        first, last = self.observed or (None, None)
        return Collection(
            source=self.source.name,
            tables={table.qualified: self.tables.get(table.qualified, Appended()) for table in self.source.tables},
            quarantined=len(self.refused),
            payloads=self.payloads,
            observed_from=first,
            observed_to=last,
            lateness_s=(self.fetched_at - last).total_seconds() if self.fetched_at and last else None,
            resolved=self.resolved,
        )


def _store(
    connection: psycopg.Connection[Any], payload: Payload, parsed: Parsed, replayed_from: datetime | None
) -> tuple[Mapping[str, Appended], Sequence[Refused]]:
    refused = [(rejected.reason, rejected.row) for rejected in parsed.rejected]
    try:
        with connection.transaction():
            appended = append(connection, payload.source, parsed.rows, payload.sha256, replayed_from=replayed_from)
            quarantine(connection, payload.source, refused, payload.sha256)
            if appended or not refused:  # a body of which nothing could be trusted is asked for again, whole
                PostgresRawStore(connection).mark_parsed(payload)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise PayloadChangedError(f"{payload.source}: PostgreSQL refuses a row: {error.diag.message_primary}") from error
    return appended, refused


def equipped(source: Source, settings: Settings) -> Settings:
    """Answer the settings with the keys of the profile: in the sandbox its own and no others, so that no real key leaves.

    Raises:
        NotConfiguredError: Live, and a key of the source is missing.
    """
    if settings.profile == "sandbox":
        return settings.model_copy(update={"keys": {name: SecretStr(value) for name, value in SANDBOX_KEYS.items()}})
    reason = not_configured_reason(source, settings)
    if reason:
        raise NotConfiguredError(reason)
    return settings


@contextmanager
def _writing(database: Database) -> Iterator[psycopg.Connection[Any]]:
    try:
        with database.connect("writer") as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"PostgreSQL: {str(error).strip().splitlines()[0]}") from error


def _wait_for_others(connection: psycopg.Connection[Any], source: Source) -> None:
    """Hold the source until the connection closes: two collections at once would mix up the nonces of a signed API."""
    try:
        with connection.transaction():
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{_WAIT_FOR_OTHER_S}s")))
            connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"omc.collect {source.name}"])
    except psycopg.errors.LockNotAvailable as error:
        raise RetryableError(f"{source.name}: another collection of it has been running for {_WAIT_FOR_OTHER_S} s") from error


def _since(connection: psycopg.Connection[Any], source: Source) -> datetime | None:
    """Answer the newest clock value of the table that lags most, or None when one of them is empty."""
    newest: list[datetime] = []
    for table in source.tables:
        statement = sql.SQL("SELECT max({}) FROM {} WHERE source = %s").format(
            sql.Identifier(table.clock), sql.Identifier(table.ledger, table.name)
        )
        with connection.transaction():
            row = connection.execute(statement, [source.name]).fetchone()
        if row is None or row[0] is None:
            return None
        newest.append(row[0])
    return min(newest)
