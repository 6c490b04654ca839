"""The work of ``omc bench read``: a filled database, and the reads that reports, tools and the analyst make of it."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from omc_infra.bench import Figure
from omc_pipeline.benches.own_database import bench_database
from omc_pipeline.ledgers.glass import MARKET_CANDLE
from omc_pipeline.ledgers.knowledge import stamp
from omc_pipeline.ledgers.partitions import make_months
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.seeding.bulk import seed_bulk

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

SYMBOL, CURRENCY = "S0250", "AUD"
DAYS, PAIRS, EVENTS = 90, 100, 200_000
_WARM, _BASELINE_REPEATS = 20, 3
_CANDLES = """
INSERT INTO glass.market_candle (source, venue, symbol, currency, interval, opened_at, open, high, low, close, vwap, volume, trades,
    is_final, version, recorded_at, row_sha256)
SELECT 'bench', 'venue', 'S' || lpad((200 + pair)::text, 4, '0'), 'AUD', %(interval)s, at, price, price + 2, price - 2, price + 1, price,
    7, 3, true, 1, %(recorded_at)s, encode(sha256((pair || at::text)::bytea), 'hex')
FROM generate_series(%(first)s::timestamptz, %(until)s::timestamptz, %(step)s::interval) AS at
CROSS JOIN (SELECT pair, pair * 17 + 3 AS price FROM generate_series(0, %(pairs)s - 1) AS pair) AS pairs
"""
_EVENTS = """
INSERT INTO catalyst.event (source, event_id, event_type, symbol, issuer, title, url, published_at, version, recorded_at, row_sha256)
SELECT 'bench', 'e-' || n, 'filing', 'S' || lpad((n %% 500)::text, 4, '0'), 'Issuer', 'Title ' || n, 'https://example.org/' || n,
    %(first)s::timestamptz + n * make_interval(secs => %(step_s)s), 1, %(recorded_at)s, encode(sha256(n::text::bytea), 'hex')
FROM generate_series(1, %(events)s) AS n
"""
_BASELINE = """
SELECT * FROM (
    SELECT fact.*, row_number() OVER (PARTITION BY {key} ORDER BY {order}) AS place FROM {table} AS fact WHERE {where}
) AS ranked WHERE place = 1
"""
_QUOTE_SERIES = {"table": "exchange.quote", "key": "source, symbol, currency", "order": "observed_at DESC, version DESC"}


@dataclass(frozen=True)
class _Read:
    """One read: what it is, how we do it, and the plain SQL that finds the same rows."""

    what: str
    rows: int
    ours: Callable[[], list[Any]]
    baseline: str


def read_figures(rows: int, repeats: int) -> Iterator[Figure]:
    """Measure on a database of this run's own.

    Args:
        rows: Quotes that it holds.
        repeats: Reads of each figure, after some that don't count.
    """
    now = datetime.now(UTC)
    with bench_database() as database:
        begun = time.perf_counter()
        seed_bulk(database, rows, DAYS, 1, now)
        yield Figure(f"filling {rows:,} quotes and {rows // 10:,} fills", round(time.perf_counter() - begun, 1), "s")
        before = fill_candles_and_events(database, now)
        with database.engine("reader").connect() as connection:
            size = connection.exec_driver_sql("SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('exchange.quote')").scalar()
        yield Figure("size of the quotes with indexes", round(float(size or 0) / 1e6), "MB")
        for read in _reads(database, now, before):
            yield from _figures(database, read, repeats)


def fill_candles_and_events(database: Database, now: datetime) -> datetime:
    """Add candles of hours and of days, and events; return a time at which the quotes, and not yet these, were known."""
    first, until = now - timedelta(days=DAYS), now.replace(minute=0, second=0, microsecond=0)
    step_s = DAYS * 86_400 / EVENTS
    bound = {"first": first.replace(minute=0, second=0, microsecond=0), "until": until, "pairs": PAIRS, "events": EVENTS, "step_s": step_s}
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    fillings = (
        (_CANDLES, MARKET_CANDLE.qualified, {**bound, "interval": "1h", "step": "1 hour"}),
        (_CANDLES, MARKET_CANDLE.qualified, {**bound, "first": midnight, "interval": "1d", "step": "1 day"}),
        (_EVENTS, "catalyst.event", bound),
    )
    with database.connect("reader") as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    with database.connect("writer") as connection:
        make_months(connection, MARKET_CANDLE, midnight, until)
        connection.commit()
        for statement, table, values in fillings:
            connection.execute(statement, {**values, "recorded_at": stamp(connection, table)})
            connection.commit()
    with database.connect("owner") as connection:
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE) glass.market_candle, catalyst.event")
    return row[0] if row else now


def _reads(database: Database, now: datetime, before: datetime) -> Iterator[_Read]:
    engine = database.engine("reader")
    reader, earlier = LedgerReader(engine), LedgerReader(engine, as_of=before)
    one = _BASELINE.format(**_QUOTE_SERIES, where=f"symbol = '{SYMBOL}' AND currency = '{CURRENCY}'")
    every = _BASELINE.format(**_QUOTE_SERIES, where=f"currency = '{CURRENCY}'")
    events = _BASELINE.format(key="source, event_id", order="version DESC", table="catalyst.event", where=f"symbol = '{SYMBOL}'")
    candles = _BASELINE.format(
        key="source, venue, symbol, currency, interval, opened_at", order="version DESC", table="glass.market_candle",
        where=f"symbol = '{SYMBOL}' AND interval = '1h'",
    )  # fmt: skip
    since = now - timedelta(days=30)
    yield _Read("latest of one symbol", 1, lambda: reader.latest_quotes([SYMBOL]), one)
    yield _Read("latest of one symbol, as of a time", 1, lambda: earlier.latest_quotes([SYMBOL]), one)
    yield _Read("latest of all symbols", 500, reader.latest_quotes, every)
    yield _Read("latest of all symbols, as of a time", 500, earlier.latest_quotes, every)
    yield _Read("last 50 events of a symbol", 50, lambda: reader.events(SYMBOL, limit=50), f"{events} ORDER BY published_at DESC LIMIT 50")
    yield _Read(
        "candles 30 days, 1h", 720, lambda: reader.candles(SYMBOL, CURRENCY, "1h", since, 720), f"{candles} AND opened_at >= '{since}'"
    )


def _figures(database: Database, read: _Read, repeats: int) -> Iterator[Figure]:
    for _ in range(_WARM):
        found = len(read.ours())
        if found != read.rows:
            raise AssertionError(f"{read.what}: {found} rows, and not {read.rows}")
    gc.collect()
    times = sorted(_milliseconds(read.ours) for _ in range(repeats))
    with database.connect("reader") as connection:
        baseline = statistics.median(_milliseconds(lambda: connection.execute(read.baseline).fetchall()) for _ in range(_BASELINE_REPEATS))
    yield Figure(f"{read.what}, p50", round(statistics.median(times), 2), "ms", "the same rows by row_number()", round(baseline, 2), False)
    yield Figure(
        f"{read.what}, p99", round(times[int(len(times) * 0.99) - 1], 2), "ms", "the same rows by row_number()", round(baseline, 2), False
    )


def _milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000
