"""Derived endpoints: rows computed incrementally from another ledger table, stored like all other rows.

The "upstream" is the ledger. The input of a computation is written as a JSON body, numbers as decimal text, and goes to the raw
store like any other body; ``parse`` computes rows from it. So derived rows have a payload, checks, quarantine and replay like all others.

A cursor stores up to which recording time the input was read. Each run computes again the spans that newer input rows touch, from
the latest versions of all rows that they need. With other options, it starts from the beginning. Without new rows, it computes the
newest span again: equal rows change nothing, and the fetch shows that the source was checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from omc_infra.errors import UpstreamRefusedError
from omc_infra.payload import Payload
from omc_pipeline.collection.parsing import OPTIONS, WINDOW
from omc_pipeline.collection.source import Endpoint, LedgerInput
from omc_pipeline.collection.window import Step, Window, floor, following
from omc_pipeline.ledgers.table import number_text

if TYPE_CHECKING:
    from omc_pipeline.collection.collector import Collector
    from omc_pipeline.collection.tally import Tally

SPANS_A_BODY = 400
"""Most spans whose input goes into one body."""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _New:
    """New input: up to which recording time it was read, and the spans of the new rows."""

    recorded_until: datetime
    spans: Sequence[datetime]
    newest: datetime | None


def derive(collector: Collector, endpoint: Endpoint, tally: Tally) -> None:
    """Compute the spans that new input rows touch, and move the cursor after all results are stored.

    Raises:
        UpstreamRefusedError: The input has no rows yet, but must have some.
    """
    reads, connection = _input_of(collector, endpoint), collector.connection
    new = _new_input(connection, reads, _cursor(collector, endpoint))
    if new.newest is None and not reads.may_be_empty:
        details = f"{' and '.join(reads.sources)} in {reads.table.qualified}"
        raise UpstreamRefusedError(f"{collector.source.name}: its input has no rows yet: {details}")
    touched = _touched(new.spans, reads, floor(collector.clock(), reads.step)) or [floor(new.newest or collector.clock(), reads.step)]
    is_stored = [_computed(collector, reads, window, new.recorded_until, tally) for window in _windows(touched, reads.step)]
    if all(is_stored):
        _move_cursor(collector, endpoint, new.recorded_until)


def derive_window(collector: Collector, endpoint: Endpoint, window: Window, tally: Tally) -> None:
    """Compute a past window again from the current input; the cursor stays."""
    reads = _input_of(collector, endpoint)
    until = _new_input(collector.connection, reads, collector.clock()).recorded_until
    spans, start = [], floor(window.since, reads.step)
    while start < window.until:
        spans.append(start)
        start = following(start, reads.step)
    for part in _windows(spans, reads.step):
        _computed(collector, reads, part, until, tally)


def _input_of(collector: Collector, endpoint: Endpoint) -> LedgerInput:
    if endpoint.reads is None:
        raise UpstreamRefusedError(f"{collector.source.name}: endpoint {endpoint.name} has neither a fetch function nor an input ledger")
    return endpoint.reads


def _new_input(connection: psycopg.Connection[Any], reads: LedgerInput, cursor: datetime) -> _New:
    """Find input rows recorded after the cursor.

    Taking the writers' lock (shared) waits for writers with stamped but uncommitted rows, so that no row is missed.
    """
    clock, table = sql.Identifier(reads.table.clock), sql.Identifier(reads.table.ledger, reads.table.name)
    bound = {"sources": list(reads.sources), "cursor": cursor, "step": reads.step}
    spans = sql.SQL(
        "SELECT DISTINCT date_trunc(%(step)s, {clock}, 'UTC') FROM {table}"
        " WHERE source = ANY(%(sources)s) AND recorded_at > %(cursor)s ORDER BY 1"
    ).format(clock=clock, table=table)
    newest = sql.SQL("SELECT clock_timestamp(), max({clock}) FROM {table} WHERE source = ANY(%(sources)s)").format(clock=clock, table=table)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", [f"omc.append {reads.table.qualified}"])
        found = [start for (start,) in connection.execute(spans, bound)]
        row = connection.execute(newest, bound).fetchone()
    return _New(row[0] if row else cursor, found, row[1] if row else None)


def _touched(spans: Iterable[datetime], reads: LedgerInput, last: datetime) -> list[datetime]:
    """Return the spans to compute: those with new rows, and later ones that use them as lookback."""
    touched: set[datetime] = set()
    for span in spans:
        reached = following(span, reads.step) + timedelta(days=reads.lookback_days)
        start = span
        while start < reached and (start <= last or start == span):
            touched.add(start)
            start = following(start, reads.step)
    return sorted(touched)


def _windows(spans: Sequence[datetime], step: Step) -> Iterator[Window]:
    """Join consecutive spans, up to a maximum."""
    began = 0
    for at, span in enumerate(spans):
        is_last = at + 1 == len(spans) or spans[at + 1] != following(span, step)
        if is_last or at + 1 - began == SPANS_A_BODY:
            yield Window(spans[began], following(span, step))
            began = at + 1


def _computed(collector: Collector, reads: LedgerInput, window: Window, recorded_until: datetime, tally: Tally) -> bool:
    """Store the input of a window as a body, and the rows computed from it."""
    fetched_at = collector.clock()
    body = _body(latest_rows(collector.connection, reads, window, recorded_until), reads, window)
    url = f"ledger:{reads.table.qualified}?window={window}"
    payload = Payload(collector.source.name, body, fetched_at, url, media_type="application/json", context={WINDOW: str(window)})
    collector.raw.store(payload, etag=None, last_modified=None)
    return tally.take(collector.connection, collector.raw.marked(payload), collector.config)


def latest_rows(connection: psycopg.Connection[Any], reads: LedgerInput, window: Window, recorded_until: datetime) -> list[dict[str, Any]]:
    """Return the latest versions, by a recording time, of the rows that a window's computation needs, oldest first."""
    table, key = reads.table, ("source", *reads.table.key)
    statement = sql.SQL(
        "SELECT DISTINCT ON ({order}, {key}) {columns} FROM {table} WHERE source = ANY(%(sources)s) AND recorded_at <= %(until)s"
        " AND {clock} >= %(since)s AND {clock} < %(before)s ORDER BY {order}, {key}, version DESC"
    ).format(
        order=sql.Identifier(table.clock),
        key=sql.SQL(", ").join(map(sql.Identifier, key)),
        columns=sql.SQL(", ").join(map(sql.Identifier, ("source", *table.fields))),
        table=sql.Identifier(table.ledger, table.name),
        clock=sql.Identifier(table.clock),
    )
    bound: dict[str, Any] = {
        "sources": list(reads.sources),
        "until": recorded_until,
        "since": window.since - timedelta(days=reads.lookback_days),
        "before": window.until,
    }
    bound["source"] = reads.sources[0]
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(reads.summary.encode() if reads.summary else statement, bound).fetchall()


def _body(rows: Sequence[dict[str, Any]], reads: LedgerInput, window: Window) -> bytes:
    details = {"table": reads.table.qualified, "window": str(window), "rows": [{n: _json_value(v) for n, v in row.items()} for row in rows]}
    return json.dumps(details, separators=(",", ":"), ensure_ascii=False).encode()


def _json_value(value: object) -> object:
    if isinstance(value, Decimal):
        return number_text(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.isoformat() if isinstance(value, date) else value


def _cursor(collector: Collector, endpoint: Endpoint) -> datetime:
    with collector.connection.transaction():
        row = collector.connection.execute(
            "SELECT recorded_until FROM raw.cursor WHERE source = %s AND endpoint = %s AND options_sha256 = %s",
            [collector.source.name, endpoint.name, collector.raw.marks[OPTIONS]],
        ).fetchone()
    return row[0] if row else _NEVER


def _move_cursor(collector: Collector, endpoint: Endpoint, recorded_until: datetime) -> None:
    with collector.connection.transaction():
        collector.connection.execute(
            "INSERT INTO raw.cursor (source, endpoint, options_sha256, recorded_until) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (source, endpoint) DO UPDATE SET options_sha256 = EXCLUDED.options_sha256,"
            " recorded_until = EXCLUDED.recorded_until",
            [collector.source.name, endpoint.name, collector.raw.marks[OPTIONS], recorded_until],
        )
