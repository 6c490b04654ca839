"""Figures of the way from fills in PostgreSQL to matches and snapshots in PostgreSQL, on a database of their own."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from omc_infra.bench import Figure
from omc_pipeline.benches.own_database import bench_database, peak_mb
from omc_pipeline.ledgers.exchange import Fill, Quote
from omc_pipeline.ledgers.write import append
from omc_pipeline.positions import compute_positions, conservation_findings, summary, value_positions
from omc_pipeline.positions.basis import Batching

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

T0 = datetime(2024, 1, 1, tzinfo=UTC)
FILLS_A_COIN = 2_000
ONE_COIN_FILLS, SUMMARY_POSITIONS = 1_000_000, 1_000
_REPEATS = 15
INVENT = """
INSERT INTO exchange.fill (source, fill_id, user_id, account_id, symbol, currency, side, qty, price, quote_amount, fee, fee_currency,
    executed_at, version, row_sha256)
SELECT 'bench', %(user)s || '-' || n, %(user)s, 'main', 'C' || lpad((n %% %(coins)s)::text, 4, '0'), 'AUD',
    CASE WHEN chance < %(buys)s THEN 'buy' ELSE 'sell' END, qty, price, round(qty * price, 18), round(qty * price / 1000, 18), 'AUD',
    %(at)s::timestamptz + n * interval '37 seconds', 1, encode(sha256((%(user)s || n)::bytea), 'hex')
FROM (
    SELECT n, random() AS chance, round(random()::numeric, 12) + 0.000000000000000001 AS qty,
        round(random()::numeric * 1000, 12) + 1 AS price
    FROM generate_series(1, %(fills)s) n
) invented
"""


def database_figures(fills: int = 400_000, one_coin: int = ONE_COIN_FILLS) -> Iterator[Figure]:
    """Measure on embedded servers of this run's own, which keep their promises to the disk.

    Args:
        fills: From PostgreSQL to PostgreSQL, in coins of 2,000.
        one_coin: Fills of the position that gets a new one.
    """
    with bench_database() as database:
        yield from _bulk_figures(database, fills)
    with bench_database() as database:  # another server: the first still has its millions of rows to vacuum and to write to disk
        yield from _new_fill_figures(database, one_coin)
        yield from _summary_figures(database, SUMMARY_POSITIONS)


def _invent(database: Database, user: str, fills: int, coins: int, buys: float = 0.55) -> None:
    with database.connect("writer") as connection:
        connection.execute("SELECT setseed(0.5)")
        connection.execute(INVENT, {"user": user, "fills": fills, "coins": coins, "buys": buys, "at": T0})
    with database.connect("owner") as connection:
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE) exchange.fill")


def _bulk_figures(database: Database, fills: int) -> Iterator[Figure]:
    sample = min(fills, 100_000)
    _invent(database, "sample", sample, max(sample // FILLS_A_COIN, 1))
    _invent(database, "few", sample // 10, max(sample // 10 // FILLS_A_COIN, 1))
    _invent(database, "many", fills, max(fills // FILLS_A_COIN, 1))
    compute_positions(database, "few", batching=Batching(backfill_fills=1))  # compiles, or loads what is kept
    memory = peak_mb()
    rate = fills / _seconds(lambda: compute_positions(database, "many"))
    grown = peak_mb() - memory
    slow = sample / _seconds(lambda: compute_positions(database, "sample", batching=Batching(backfill_fills=None)))
    yield Figure("postgres to postgres", rate, "fills/s", f"by the engine in Python integers, {sample:,} fills", slow)
    yield Figure(f"postgres to postgres, memory gained by {fills:,} fills", grown, "MB")
    yield Figure("postgres to postgres, laws broken", len(conservation_findings(database, "many")), "laws")


def _new_fill_figures(database: Database, fills: int) -> Iterator[Figure]:
    _invent(database, "one", fills, 1)
    whole = _seconds(lambda: compute_positions(database, "one")) * 1000
    at = T0 + timedelta(days=4000)
    fill = Fill("", "one", "main", "C0000", "AUD", "sell", Decimal("0.3"), Decimal(9), Decimal("2.7"), Decimal(0), "AUD", at)
    times = []
    for number in range(_REPEATS):
        side, before = ("sell", "buy")[number % 2], summary(database, "one").by_symbol[0].qty
        one = replace(fill, fill_id=f"new-{number}", side=side, executed_at=at + timedelta(minutes=number))

        def recorded(one: Fill = one) -> None:
            with database.connect("writer") as connection:
                append(connection, "bench", [one], None)
            compute_positions(database, "one")

        times.append(_seconds(recorded) * 1000)
        _require(summary(database, "one").by_symbol[0].qty != before, "the new fill is not in the snapshot")
    what = f"new fill on {fills:,}, recorded, matched and in the snapshot"
    yield Figure(f"{what}, p50", statistics.median(times), "ms", "all fills of the position again", whole, higher_is_better=False)
    yield Figure(f"{what}, worst of {_REPEATS}", max(times), "ms", "all fills of the position again", whole, higher_is_better=False)
    late = replace(fill, fill_id="late", side="buy", executed_at=at - timedelta(days=4000 - 10))

    def restated() -> None:
        with database.connect("writer") as connection:
            append(connection, "bench", [late], None)
        compute_positions(database, "one")

    yield Figure(
        "late fill, a few days after the first, restated",
        _seconds(restated) * 1000,
        "ms",
        "the first computation of all",
        whole,
        higher_is_better=False,
    )


def _summary_figures(database: Database, positions: int) -> Iterator[Figure]:
    _invent(database, "wide", positions * 20, positions)
    compute_positions(database, "wide")
    coins = [coin.symbol for coin in summary(database, "wide").by_symbol]
    quotes = [Quote(coin, "AUD", T0, Decimal(9), Decimal(10), None) for coin in coins]
    with database.connect("writer") as connection:
        append(connection, "bench", quotes, None)
    value_positions(database, "wide", T0)
    times = [_seconds(lambda: summary(database, "wide")) * 1000 for _ in range(_REPEATS)]
    added_up = min(_seconds(lambda: conservation_findings(database, "wide")) for _ in range(3)) * 1000
    what = f"summary of {positions:,} positions"
    yield Figure(f"{what}, p50", statistics.median(times), "ms", "added up from all matches and lots", added_up, higher_is_better=False)
    yield Figure(f"{what}, worst of {_REPEATS}", max(times), "ms", "added up from all matches and lots", added_up, higher_is_better=False)


def _seconds(work: object) -> float:
    gc.collect()
    begun = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - begun


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
