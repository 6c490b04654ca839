"""Listings and delistings at CoinSpot, found by comparing the coins in its price feed.

Source: derived from the quotes of ``exchange_coinspot_prices`` in the ledger, once a minute. Of each coin with a market in Australian
    dollars only three times are read, by index: when it was first quoted, last, and when the feed was first read without it after that.
Shape: ``{"table", "window", "rows": [{"symbol", "first_at", "last_at", "missing_at", "feed_first_at", "feed_last_at"}]}``, only coins
    that came or went in the last days; ``missing_at`` is null for one that the newest answer quotes.
Units: times in UTC. A listing is published when the coin was first quoted, unless the feed itself began then; a delisting when the coin
    had been missing for the configured minutes of feed time, for one answer may lack a coin (its row may have been refused). Hours in
    which nothing was collected count for neither.
Errors: a body without a list of rows is refused; an empty one says that no coin came or went.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import quote

from pydantic import Field

from omc_infra.errors import PayloadChangedError
from omc_infra.payload import Payload
from omc_pipeline.assets.registry import Registry
from omc_pipeline.collection.items import Item, refusal
from omc_pipeline.collection.json_body import read_json
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Endpoint, History, LedgerInput, Parsed, Rejected, Source
from omc_pipeline.collection.values import instant, text
from omc_pipeline.ledgers.catalyst import EVENT, CatalystEvent
from omc_pipeline.ledgers.exchange import QUOTE
from omc_pipeline.sources._catalyst_rules import impact_of
from omc_pipeline.sources._coinspot import VENUE

_NAME, _PRICES = "catalyst_coinspot_listings", "exchange_coinspot_prices"
_VENUE, _CURRENCY = "CoinSpot", "AUD"
_SAMPLE = timedelta(minutes=1)
"""Time between two answers of the feed at most: one just before the end of a day's span decides for the minute that follows it."""
_DAYS = 7
"""Days after which a coin that came or went is no longer looked at; at least as long as one may be missing."""
_PAGE = "https://www.coinspot.com.au/buy"
_SEEN = "q.source = %(source)s AND q.currency = 'AUD' AND q.observed_at < %(before)s AND q.recorded_at <= %(until)s"
_FIRST = "SELECT q.symbol FROM exchange.quote q WHERE q.source = %(source)s{} ORDER BY q.source, q.symbol LIMIT 1"
_QUOTED = "SELECT q.observed_at FROM exchange.quote q WHERE q.symbol = coin.symbol AND {} ORDER BY q.observed_at {} LIMIT 1"
COINS = f"""
WITH RECURSIVE coin AS (
    ({_FIRST.format("")}) UNION ALL SELECT ({_FIRST.format(" AND q.symbol > coin.symbol")}) FROM coin WHERE coin.symbol IS NOT NULL
), quoted AS (
    SELECT coin.symbol, ({_QUOTED.format(_SEEN, "")}) AS first_at, ({_QUOTED.format(_SEEN, "DESC")}) AS last_at
    FROM coin WHERE coin.symbol IS NOT NULL
), feed AS (
    SELECT min(first_at) AS feed_first_at, max(last_at) AS feed_last_at FROM quoted
), known AS (
    SELECT symbol, first_at, last_at, feed_first_at, feed_last_at, CASE WHEN last_at < feed_last_at THEN (
        SELECT q.observed_at FROM exchange.quote q WHERE q.observed_at > quoted.last_at AND {_SEEN} ORDER BY q.observed_at LIMIT 1
    ) END AS missing_at
    FROM quoted CROSS JOIN feed WHERE first_at IS NOT NULL
)
SELECT * FROM known WHERE first_at > feed_first_at AND first_at >= %(since)s OR missing_at >= %(since)s ORDER BY symbol
"""
"""Skips from coin to coin in the primary key, so that its cost follows the number of coins and not of quotes."""


class ListingsConfig(SourceConfig):
    """Options: when a coin counts as delisted."""

    missing_min: int = Field(
        30,
        ge=1,
        le=10_080,
        description="Minutes without quotes of a coin, while others are quoted, after which the coin counts as delisted.",
    )


@dataclass(frozen=True)
class _Coin:
    symbol: str
    first_at: datetime
    missing_at: datetime | None
    feed_first_at: datetime
    feed_last_at: datetime


def parse(payload: Payload, config: ListingsConfig) -> Parsed:
    """Compute listings and delistings from the times of the coins."""
    document = read_json(payload)
    rows = document.get("rows") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise PayloadChangedError(f"{_NAME}: no list 'rows' of coins: not an input of this computation")
    events, rejected = list[CatalystEvent](), list[Rejected]()
    for row in rows:
        item: Item = row if isinstance(row, dict) else {"row": row}
        try:
            events += _events(_coin(item), timedelta(minutes=config.missing_min), config.assets)
        except ValueError as error:
            rejected.append(refusal(str(error), item))
    return Parsed(events, rejected)


def _coin(row: Item) -> _Coin:
    missing_at = None if row.get("missing_at") is None else instant(row, "missing_at")
    times = (instant(row, "first_at"), missing_at, instant(row, "feed_first_at"), instant(row, "feed_last_at"))
    return _Coin(text(row, "symbol", 40), *times)


def _events(coin: _Coin, missing: timedelta, assets: Registry) -> Iterator[CatalystEvent]:
    page = f"{_PAGE}/{quote(assets.ticker_of(VENUE, coin.symbol).lower())}"
    if coin.first_at > coin.feed_first_at:
        yield _event("listing", coin.symbol, coin.first_at, coin.first_at, f"{coin.symbol} is quoted at {_VENUE}", page)
    if coin.missing_at is not None and coin.feed_last_at - coin.missing_at >= missing - _SAMPLE:
        details = f"{coin.symbol} is no longer quoted at {_VENUE}, since {coin.missing_at:%Y-%m-%d %H:%M} UTC"
        yield _event("delisting", coin.symbol, coin.missing_at, coin.missing_at + missing, details, page)


def _event(kind: str, symbol: str, since: datetime, published_at: datetime, title: str, page: str) -> CatalystEvent:
    return CatalystEvent(
        event_id=hashlib.sha256(f"{kind}/{symbol}/{since.isoformat()}".encode()).hexdigest()[:32],
        event_type=kind,
        symbol=symbol,
        ticker=None,
        issuer=_VENUE,
        title=title,
        form=None,
        items=symbol,
        url=f"{page}#{kind}-{since:%Y%m%dT%H%M%S}",
        filed_on=None,
        published_at=published_at,
        impact=impact_of("listing", kind),
    )


SOURCE = Source(
    name=_NAME,
    title="CoinSpot listings",
    tables=(EVENT,),
    endpoints=(
        Endpoint(
            "coins",
            cron="* * * * *",
            every_s=60,
            reads=LedgerInput(QUOTE, sources=(_PRICES,), step="day", lookback_days=_DAYS, may_be_empty=True, summary=COINS),
        ),
    ),
    parse=parse,
    config=ListingsConfig,
    may_be_silent=True,
    history=History(first_day=date(2017, 12, 1)),
    homepage="https://www.coinspot.com.au/v2/api",
)
