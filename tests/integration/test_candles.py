"""Candles are what a plain computation over the quotes gives, at every interval, whatever came late."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from omc_infra.postgres.database import Database
from omc_pipeline.candles.derive import derive_candles
from omc_pipeline.ledgers.candle import CANDLE
from omc_pipeline.ledgers.exchange import Quote
from omc_pipeline.ledgers.glass import MarketCandle
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.ledgers.table import row_digest
from omc_pipeline.ledgers.write import append

START = datetime(2026, 9, 1, 22, tzinfo=UTC)
LENGTHS = {"1m": timedelta(minutes=1), "5m": timedelta(minutes=5), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
ORIGIN = "a_venue"
FACTS = ("symbol", "interval", "opened_at", "open", "high", "low", "close", "samples")


@pytest.fixture(autouse=True)
def nothing(database: Database) -> None:
    with database.connect("owner") as owner:
        owner.execute("TRUNCATE exchange.quote, glass.candle, glass.candle_cursor, glass.market_candle")


def _drawn(seed: int, count: int, span: timedelta, symbols: Iterable[str] = ("BTC", "ETH")) -> list[Quote]:
    draw, found = random.Random(seed), {}
    for _ in range(count):
        at, symbol = START + span * draw.random(), draw.choice(list(symbols))
        found[(symbol, at)] = Quote(symbol, "AUD", at, Decimal(1), Decimal(2), Decimal(draw.randrange(100, 10_000)) / 7)
    return list(found.values())


def _append(database: Database, rows: list[Any], source: str = ORIGIN) -> None:
    with database.connect("writer") as connection:
        append(connection, source, rows, None)


def _expected(quotes: Iterable[Quote], until: datetime) -> set[tuple[Any, ...]]:
    newest = {(quote.symbol, quote.observed_at): quote for quote in quotes}
    spans: dict[tuple[str, str, datetime], list[Quote]] = defaultdict(list)
    for quote in sorted(newest.values(), key=lambda quote: quote.observed_at):
        for interval, length in LENGTHS.items():
            begin = datetime.fromtimestamp(quote.observed_at.timestamp() // length.total_seconds() * length.total_seconds(), UTC)
            if begin + length <= until:
                spans[(quote.symbol, interval, begin)].append(quote)
    candles = set()
    for (symbol, interval, begin), within in spans.items():
        prices = [(quote.last or Decimal()).quantize(Decimal("1e-18")) for quote in within]
        candles.add((symbol, interval, begin, prices[0], max(prices), min(prices), prices[-1], len(prices)))
    return candles


def _candles(database: Database, as_of: datetime | None = None) -> set[tuple[Any, ...]]:
    rows = LedgerReader(database.engine("reader"), as_of=as_of).rows(CANDLE)
    return {tuple(row[name] for name in FACTS) for row in rows}


def test_candles_are_those_of_the_quotes_at_every_interval_however_the_runs_fall(database: Database) -> None:
    quotes = sorted(_drawn(1, 400, timedelta(days=3)), key=lambda quote: quote.observed_at)
    moments = [START + timedelta(hours=hour) for hour in (1, 9, 26, 27, 50, 80)]
    for before, moment in zip([START - timedelta(days=1), *moments], moments, strict=False):
        _append(database, [quote for quote in quotes if before <= quote.observed_at < moment])
        derive_candles(database, moment)
        assert _candles(database) == _expected([quote for quote in quotes if quote.observed_at < moment], moment)

    again = derive_candles(database, moments[-1])

    assert (again.inserted, again.changed, again.is_complete) == (0, 0, True)


def test_late_and_corrected_quotes_make_new_versions_of_all_candles_around_them_and_the_past_stays_known(database: Database) -> None:
    quotes, until = _drawn(2, 200, timedelta(days=2)), START + timedelta(days=4)
    _append(database, quotes)
    derive_candles(database, until)
    with database.connect("reader") as connection:
        before = connection.execute("SELECT clock_timestamp()").fetchone()
    late = [*_drawn(3, 20, timedelta(days=2)), Quote("BTC", "AUD", quotes[0].observed_at, Decimal(1), Decimal(2), Decimal(77777))]

    _append(database, late)
    done = derive_candles(database, until)

    assert before is not None
    assert done.changed > 0
    assert _candles(database) == _expected([*quotes, *late], until)
    assert _candles(database, as_of=before[0]) == _expected(quotes, until)


def test_the_span_that_has_not_ended_has_no_candle_and_gaps_are_told(database: Database) -> None:
    times = [START, START + timedelta(minutes=1), START + timedelta(minutes=7), START + timedelta(minutes=9, seconds=30)]
    _append(database, [Quote("BTC", "AUD", at, None, None, Decimal(5)) for at in times])

    derive_candles(database, START + timedelta(minutes=9, seconds=45))

    assert len(LedgerReader(database.engine("reader")).derived_candles("BTC", "AUD", "1m")) == 3
    with database.connect("reader") as connection:
        gaps = connection.execute("SELECT since, until, missing FROM glass.candle_gap WHERE interval = '1m'").fetchall()
    assert gaps == [(START + timedelta(minutes=2), START + timedelta(minutes=7), 5)]


def test_a_venues_own_candles_are_there_beside_those_of_quotes_once_they_are_final(database: Database) -> None:
    price = Decimal(3)
    forming = MarketCandle("kraken", "BTC", "AUD", "1h", START, price, price, price, price, None, Decimal(2), 4, False)
    final = MarketCandle("kraken", "BTC", "AUD", "1h", START, price, price + 1, price, price, None, Decimal(9), 6, True)
    _append(database, [forming], "venue_candles")
    first = derive_candles(database, START + timedelta(hours=2))
    _append(database, [final], "venue_candles")

    derive_candles(database, START + timedelta(hours=2))

    assert first.inserted == 0
    (row,) = LedgerReader(database.engine("reader")).derived_candles("BTC", "AUD", "1h")
    assert (row["origin"], row["high"], row["volume"], row["samples"]) == ("venue_candles/kraken", price + 1, Decimal(9), 6)


def test_digests_are_those_of_the_facts(database: Database) -> None:
    _append(database, _drawn(4, 50, timedelta(hours=5)))
    derive_candles(database, START + timedelta(hours=6))

    for row in LedgerReader(database.engine("reader")).rows(CANDLE):
        facts = {name: row[name].astimezone(UTC) if isinstance(row[name], datetime) else row[name] for name in CANDLE.fields}
        assert row_digest(CANDLE.row(**facts)) == row["row_sha256"]


def test_a_run_whose_time_is_up_goes_on_where_it_ended(database: Database) -> None:
    quotes, until = _drawn(5, 100, timedelta(days=4)), START + timedelta(days=5)
    _append(database, quotes)

    first = derive_candles(database, until, longest_s=0)
    runs = [first]
    while not runs[-1].is_complete:
        runs.append(derive_candles(database, until, longest_s=0))

    assert not first.is_complete
    assert len(runs) > 3
    assert _candles(database) == _expected(quotes, until)
