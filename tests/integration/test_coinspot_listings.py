"""Listings and delistings out of the quotes in the ledger, and the agent sessions they announce."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from omc_infra.clock import utc_now
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.tally import Collection
from omc_pipeline.ledgers.exchange import Quote
from omc_pipeline.ledgers.write import append
from omc_pipeline.sources.catalyst_coinspot_listings import SOURCE, ListingsConfig

PRICES = "exchange_coinspot_prices"
NOON = (datetime.now(UTC) - timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)


def _quoted(database: Database, coins: Sequence[str], *minutes: float) -> None:
    price = Decimal(1)
    rows = [Quote(coin, "AUD", NOON + timedelta(minutes=minute), price, price, price) for minute in minutes for coin in coins]
    with database.connect("writer") as connection, connection.transaction():
        append(connection, PRICES, rows, None)


def _collected(database: Database, settings: Settings, config: SourceConfig | None = None) -> Collection:
    return collect(SOURCE, database, settings, utc_now, config=config)


def _events(database: Database) -> list[tuple[str, str, float]]:
    with database.connect("reader") as connection:
        rows = connection.execute(
            "SELECT event_type, symbol, published_at FROM catalyst.event WHERE source = %s ORDER BY published_at, symbol", [SOURCE.name]
        ).fetchall()
    return [(kind, symbol, (at - NOON).total_seconds() / 60) for kind, symbol, at in rows]


@pytest.fixture
def emptied(database: Database) -> Database:
    with database.connect("owner") as connection:
        connection.execute("TRUNCATE exchange.quote, catalyst.event, catalyst.outbox, raw.cursor CASCADE")
    return database


def test_the_coins_with_which_the_feed_began_are_no_listings(emptied: Database, settings: Settings) -> None:
    _quoted(emptied, ("BTC", "ETH"), 0, 1, 2)

    collection = _collected(emptied, settings)

    assert (collection.rows, _events(emptied)) == (0, [])


def test_a_price_feed_that_was_never_read_is_no_failure_and_no_listing(emptied: Database, settings: Settings) -> None:
    collection = _collected(emptied, settings)

    assert (collection.rows, collection.payloads) == (0, 1)


def test_a_coin_that_came_later_is_listed_once_and_announced(emptied: Database, settings: Settings) -> None:
    _quoted(emptied, ("BTC", "ETH"), 0, 1, 2)
    _collected(emptied, settings)
    _quoted(emptied, ("BTC", "ETH", "WIF"), 3, 4)

    _collected(emptied, settings)
    again = _collected(emptied, settings)

    assert _events(emptied) == [("listing", "WIF", 3)]
    assert all(count.inserted == count.changed == 0 for count in again.tables.values())
    with emptied.connect("reader") as connection:
        assert connection.execute("SELECT count(*) FROM catalyst.outbox WHERE source = %s", [SOURCE.name]).fetchone() == (1,)


def test_a_coin_that_one_answer_lacks_is_not_delisted_and_one_that_stays_away_is(emptied: Database, settings: Settings) -> None:
    _quoted(emptied, ("BTC", "XMR", "ZEC"), 0, 1)
    _quoted(emptied, ("BTC", "ZEC"), 2, 20)
    _collected(emptied, settings)
    early = _events(emptied)
    _quoted(emptied, ("BTC",), 31, 32)

    _collected(emptied, settings)

    assert early == []
    assert _events(emptied) == [("delisting", "XMR", 32)]


def test_hours_without_any_quotes_delist_nothing(emptied: Database, settings: Settings) -> None:
    _quoted(emptied, ("BTC", "XMR"), 0, 1)
    _quoted(emptied, ("BTC",), 300)
    _collected(emptied, settings)
    _quoted(emptied, ("BTC", "XMR"), 301)

    _collected(emptied, settings)

    assert _events(emptied) == []


def test_how_long_a_coin_may_be_missing_is_an_option(emptied: Database, settings: Settings) -> None:
    _quoted(emptied, ("BTC", "XMR"), 0)
    _quoted(emptied, ("BTC",), 1, 7)

    _collected(emptied, settings, ListingsConfig(missing_min=5))

    assert _events(emptied) == [("delisting", "XMR", 6)]
