"""Daily prices are asked for where a fill or a valuation needs them and the ledger lacks them, and not again once they are there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sandboxed import one

from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.history import collect_history
from omc_pipeline.collection.window import Window
from omc_pipeline.ledgers.exchange import Fill
from omc_pipeline.ledgers.glass import CoinPrice
from omc_pipeline.ledgers.table import Row
from omc_pipeline.ledgers.write import append
from omc_pipeline.sandbox import serving

SOURCE = discover_sources()["glass_coin_prices"]
NOW = datetime(2026, 9, 17, 15, 30, 20, tzinfo=UTC)
D = Decimal


@pytest.fixture
def sandboxed(settings: Settings) -> Iterator[Settings]:
    with serving(settings, lambda: NOW) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def _store(database: Database, *rows: Row) -> None:
    with database.connect("writer") as connection:
        append(connection, "venue", rows, None)


def _fill(number: int, symbol: str, at: datetime, fee_currency: str = "AUD") -> Fill:
    return Fill(f"needed-{number}", "ada", "main", symbol, "AUD", "buy", D(1), D(80), D(80), D("0.1"), fee_currency, at)


def _days(database: Database, symbol: str) -> int:
    return int(one(database, "SELECT count(*) FROM glass.coin_price WHERE source = 'glass_coin_prices' AND symbol = %s", symbol))


def test_each_day_since_the_first_fill_of_a_coin_gets_a_price_once(database: Database, sandboxed: Settings) -> None:
    _store(database, _fill(1, "SOL", NOW - timedelta(days=9)), _fill(2, "NOBODYKNOWS", NOW - timedelta(days=9)))
    _store(database, _fill(3, "ADA", NOW - timedelta(days=3), fee_currency="LINK"))
    known = [CoinPrice("SOL", NOW - timedelta(days=day), D(170), None) for day in (4, 5)]
    _store(database, *known)

    first = collect(SOURCE, database, sandboxed, lambda: NOW)
    again = collect(SOURCE, database, sandboxed, lambda: NOW)

    assert _days(database, "SOL") == 10, "one stretch, from the day before the first fill to yesterday"
    assert (_days(database, "ADA"), _days(database, "LINK"), _days(database, "DOGE")) == (10, 10, 0)
    assert _days(database, "BTC") >= 1
    assert (first.payloads, again.payloads, again.tables["glass.coin_price"].inserted) == (1, 1, 0)
    assert again.rows == 2, "yesterday's prices of the coins that are always priced"


def test_a_price_is_of_the_evening_of_its_day(database: Database, sandboxed: Settings) -> None:
    day = NOW.date() - timedelta(days=20)

    done = collect_history(SOURCE, database, sandboxed, Window.of_days(day, day), lambda: NOW)

    assert done.rows == 2
    assert done.observed_from is not None
    assert (done.observed_from.date(), done.observed_from.hour in (21, 22)) == (day, True)
