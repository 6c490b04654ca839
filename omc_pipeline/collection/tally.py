"""Parse and store the payloads of a collection, one transaction each, and count the results.

So the payloads before a failure stay stored, and an event and its outbox row are stored together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial, reduce
from typing import Any

import psycopg
from psycopg import sql

from omc_infra.errors import OmcError, PayloadChangedError, UpstreamRefusedError
from omc_infra.objects import Objects
from omc_infra.payload import Payload
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.parsing import parse_payload
from omc_pipeline.collection.source import Parsed, Settle, Source
from omc_pipeline.ledgers.erasure import erase_taken_back
from omc_pipeline.ledgers.known import latest_versions
from omc_pipeline.ledgers.pairs import pair_new_fills
from omc_pipeline.ledgers.quarantine import Refused, quarantine
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.ledgers.table import LedgerTable, Row, key_of
from omc_pipeline.ledgers.write import Appended, append

_OF_ONE_PAYLOAD = (PayloadChangedError, UpstreamRefusedError)
"""Failures that say nothing of the source's other payloads."""


@dataclass(frozen=True)
class Collection:
    """Result of a collection or a replay.

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
        """Number of distinct rows passed to the ledger, new or not."""
        return sum(appended.rows for appended in self.tables.values())


Stored = tuple[Mapping[str, Appended], Sequence[Refused]]
"""What was appended to each table, and the rows that were refused."""
Store = Callable[[psycopg.Connection[Any], Source, Payload, Parsed, datetime | None], Stored]
"""Stores what was read of a payload; the last argument is its fetch time where it is read again."""


@dataclass
class Tally:
    """Takes the payloads of one source one by one, and counts the results.

    Attributes:
        source: Whose payloads.
        store: What becomes of the rows; None: they are written to the ledgers.
        bodies: Where bodies lie that are not in the database.
        unread: Payloads that could not be read.
    """

    source: Source
    store: Store | None = None
    bodies: Objects | None = None
    unread: int = 0
    tables: dict[str, Appended] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    quarantined: int = 0
    read: set[str] = field(default_factory=set)
    payloads: int = 0
    observed: tuple[datetime, datetime] | None = None
    fetched_at: datetime | None = None
    failure: OmcError | None = None
    resolved: int = 0

    def take(self, connection: psycopg.Connection[Any], payload: Payload, config: SourceConfig, *, is_replay: bool = False) -> bool:
        """Parse and store one payload; an error of this payload only is kept for the end.

        Returns:
            Whether its rows are stored.
        """
        self.payloads += 1
        self.fetched_at = payload.fetched_at
        try:
            parsed = parse_payload(self.source, payload, config)
            store = self.store or partial(_store, bodies=self.bodies)
            appended, refused = store(connection, self.source, payload, parsed, payload.fetched_at if is_replay else None)
        except _OF_ONE_PAYLOAD as error:
            self.unread += 1
            self.failure = self.failure or error
            return False
        self.read.add(payload.sha256)
        self.refused += refused
        self.quarantined += sum(rejected.count for rejected in parsed.rejected)
        for table, count in appended.items():
            self.tables[table] = self.tables.get(table, Appended()) + count
        clocks = [getattr(row, row.table.clock) for row in parsed.rows]
        if clocks:
            known = self.observed or (clocks[0], clocks[0])
            self.observed = min(known[0], *clocks), max(known[1], *clocks)
        return True

    def counts(self) -> Collection:
        """Return the results so far, with or without an error."""
        first, last = self.observed or (None, None)
        return Collection(
            source=self.source.name,
            tables={table.qualified: self.tables.get(table.qualified, Appended()) for table in self.source.tables},
            quarantined=self.quarantined,
            payloads=self.payloads,
            observed_from=first,
            observed_to=last,
            lateness_s=(self.fetched_at - last).total_seconds() if self.fetched_at and last else None,
            resolved=self.resolved,
        )

    def kept_failure(self) -> OmcError | None:
        """Return the kept error, or an error if all rows were refused; else None."""
        if self.failure is None and self.refused and not self.tables:
            return all_refused(self.source, [reason for reason, _ in self.refused], self.quarantined)
        return self.failure


def all_refused(source: Source, reasons: Sequence[str], count: int) -> PayloadChangedError:
    """Return the error for a parse in which all rows were refused; ``reasons`` has at least one."""
    return PayloadChangedError(f"{source.name}: all {count:,} rows were refused; reason of the first one: {reasons[0]}")


def together(collections: Sequence[Collection]) -> Collection:
    """Add up collections of one source (endpoints or samples); the lateness is that of the last one."""
    return reduce(_added, collections)


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
        resolved=earlier.resolved + later.resolved,
    )


def _store(
    connection: psycopg.Connection[Any],
    source: Source,
    payload: Payload,
    parsed: Parsed,
    replayed_from: datetime | None,
    *,
    bodies: Objects | None,
) -> Stored:
    refused = [(rejected.reason, rejected.row) for rejected in parsed.rejected]
    try:
        with connection.transaction():
            rows = parsed.rows if source.settle is None else settled(connection, source.settle, source.name, parsed.rows)
            appended = append(connection, payload.source, rows, payload.sha256, replayed_from=replayed_from)
            pair_new_fills(connection, parsed.rows)
            erase_taken_back(connection, payload.source, parsed.rows, payload.sha256, bodies)
            quarantine(connection, payload.source, refused, payload.sha256)
            if appended or not refused:  # a body of which nothing could be trusted is asked for again, whole
                PostgresRawStore(connection).mark_parsed(payload)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise refused_by_database(payload, error) from error
    return appended, refused


def refused_by_database(payload: Payload, error: psycopg.Error) -> PayloadChangedError:
    """Create the error for a payload with values that PostgreSQL refuses."""
    return PayloadChangedError(f"{payload.source}: PostgreSQL refuses a row: {error.diag.message_primary}")


def settled(
    connection: psycopg.Connection[Any],
    settle: Settle,
    source: str,
    rows: Sequence[Row],
    where: Callable[[LedgerTable], sql.Composable] | None = None,
) -> Sequence[Row]:
    """Return the rows to store after merging with known facts; ``where`` as in ``latest_versions``."""
    known = latest_versions(connection, source, rows, where)
    latest = ((row, known.get((row.table, key_of(row)))) for row in rows)
    return [row if version is None else settle(version, row) for row, version in latest]
