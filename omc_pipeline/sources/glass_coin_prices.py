"""Prices of coins in US dollars, one a day, for the days that a fill or a valuation needs and the ledger lacks.

Source: DefiLlama, ``GET https://coins.llama.fi/chart/{ids}?start=<second>&span=<points>&period=1d&searchWidth=<width>``; no key, limits
    unpublished. Contract from public clients; not verified against a live answer: the most points and ids of one request. Answers of
    ``/prices/historical/{second}/{ids}`` are read, too.
Shape: ``{"coins": {"coingecko:bitcoin": {"symbol", "confidence", "prices": [{"timestamp", "price"}, ..]}}}``; a point without a known price
    is left out, a coin without any is left out, and ``confidence`` at times. ``/prices/historical`` has ``timestamp`` and ``price`` of one
    point in the coin itself.
Units: US dollars, as JSON numbers; ``timestamp`` seconds since 1970, of the price nearest to the time asked for: the evening of the day.
Errors: ``{"message": ..}`` with status 400.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from omc_infra.errors import PayloadChangedError, UpstreamRefusedError
from omc_infra.http import HostPolicy
from omc_infra.payload import Payload
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import Json, read_json
from omc_pipeline.collection.options import SourceConfig, Symbol
from omc_pipeline.collection.source import Endpoint, FetchContext, History, Parsed, Source
from omc_pipeline.collection.values import amount, instant_of_epoch, optional_amount
from omc_pipeline.collection.window import Window
from omc_pipeline.ledgers.glass import COIN_PRICE, CoinPrice

NEEDED_DAYS = """
SELECT held.symbol, day::date FROM (
    SELECT symbol, min(executed_at) AS first_at FROM (
        SELECT symbol, executed_at FROM exchange.fill
        UNION ALL SELECT fee_currency, executed_at FROM exchange.fill WHERE fee <> 0 AND NOT exchange.is_money(fee_currency)
        UNION ALL SELECT currency, executed_at FROM exchange.fill WHERE NOT exchange.is_money(currency)
    ) AS seen GROUP BY symbol
) AS held CROSS JOIN LATERAL generate_series(
    date_trunc('day', held.first_at AT TIME ZONE 'UTC') - interval '1 day',
    date_trunc('day', %(now)s AT TIME ZONE 'UTC') - interval '1 day', interval '1 day'
) AS day
WHERE NOT EXISTS (
    SELECT FROM glass.coin_price p WHERE p.symbol = held.symbol
    AND p.observed_at >= day AT TIME ZONE 'UTC' AND p.observed_at < (day + interval '1 day') AT TIME ZONE 'UTC'
) ORDER BY 2, 1
"""
"""Each coin that was ever bought, sold or paid a fee with, on each day from the one before its first fill to yesterday, without a price."""

_NAME = "glass_coin_prices"
_COIN_ID = re.compile(r"[\w.-]{1,40}:[\w.-]{1,100}", re.ASCII)
_EVENING, _WIDTH = time(22), "119m"
"""Within two hours of it there is nearly always a price, and none of the next day."""
_POINTS = 100
_IDS = 20


def _id_text(written: str) -> str:
    if not _COIN_ID.fullmatch(written):
        raise ValueError('must be an id like "coingecko:bitcoin" or "ethereum:0x.."')
    return written


class CoinPricesConfig(SourceConfig):
    """Options: which coins can be priced, and which are priced each day."""

    coins: dict[Annotated[str, AfterValidator(_id_text)], Symbol] = Field(
        default_factory=dict,
        description="Symbols by DefiLlama's id, for coins that are missing in the asset registry or have another id there.",
    )
    always: tuple[Symbol, ...] = Field(
        ("BTC", "ETH"), min_length=1, description="Coins to price each day, even if no fill needs the price."
    )


def fetch(context: FetchContext) -> Iterator[Payload]:
    """Fetch the days that the ledgers lack, and yesterday's prices of the coins that are always priced."""
    yesterday = context.now.date() - timedelta(days=1)
    needs = {(symbol, day) for symbol, day in context.needs} | {(symbol, yesterday) for symbol in context.config.always}
    return _charts(context, needs)


def fetch_history(context: FetchContext, window: Window) -> Iterator[Payload]:
    """Ask for the days of a window that the ledgers lack, and for each of its days for the coins that are always priced."""
    days = [day for day in window.days() if day < context.now.date()]
    needs = {(symbol, day) for symbol, day in context.needs if window.first_day <= day <= window.last_day}
    return _charts(context, needs | {(symbol, day) for symbol in context.config.always for day in days})


def _charts(context: FetchContext, needs: set[tuple[str, date]]) -> Iterator[Payload]:
    """Ask for stretches of days, each for all coins that lack a day of it; coins without an id can't be asked for."""
    ids: dict[str, str] = {}
    for coin_id, symbol in (*context.config.coins.items(), *context.config.assets.price_ids(symbol for symbol, _ in needs).items()):
        ids.setdefault(symbol, coin_id)
    wanted = sorted((day, ids[symbol]) for symbol, day in needs if symbol in ids)
    while wanted:
        first = wanted[0][0]
        part = [(day, coin_id) for day, coin_id in wanted if day < first + timedelta(days=_POINTS)]
        wanted = wanted[len(part) :]
        coins = sorted({coin_id for _, coin_id in part})
        for at in range(0, len(coins), _IDS):
            yield _chart(context, coins[at : at + _IDS], first, part[-1][0])


def _chart(context: FetchContext, coins: Sequence[str], first: date, last: date) -> Payload:
    start = datetime.combine(first, _EVENING, UTC)
    asked = {"start": int(start.timestamp()), "span": (last - first).days + 1, "period": "1d", "searchWidth": _WIDTH}
    params = {name: str(value) for name, value in asked.items()}
    return context.http.get(f"/chart/{','.join(coins)}", params=params, conditional=False)


def parse(payload: Payload, config: CoinPricesConfig) -> Parsed:
    """Read one row per point."""
    document = read_json(payload)
    coins = document.get("coins") if isinstance(document, dict) else None
    if not isinstance(coins, dict):
        details = document.get("message") if isinstance(document, dict) else None
        if isinstance(details, str):
            raise UpstreamRefusedError(f"{_NAME}: DefiLlama answered: {one_line(details)}")
        raise PayloadChangedError(f"{_NAME}: no object 'coins': not prices as DefiLlama gives them")
    return read_items((point for coin_id, coin in coins.items() for point in _points(coin_id, coin)), lambda point: _price(point, config))


def _points(coin_id: str, coin: Json) -> Iterator[Json]:
    """Yield the points of one coin, each with its id; what is none is left to be refused."""
    if not isinstance(coin, dict):
        yield coin
        return
    points = coin.get("prices") if isinstance(coin.get("prices"), list) else [coin]
    for point in points if isinstance(points, list) else ():
        about = {"id": coin_id, "confidence": coin.get("confidence")}
        yield {**point, **about} if isinstance(point, dict) else point


def _price(point: Item, config: CoinPricesConfig) -> CoinPrice:
    coin_id, confidence = str(point["id"]), optional_amount(point, "confidence", least=0)
    known = config.assets.of_price_id(coin_id)
    symbol = config.coins.get(coin_id) or (known.symbol if known else None)
    if not symbol:
        raise ValueError(f"{one_line(coin_id, 80)} is no coin of the registry of assets")
    if confidence is not None and confidence > 1:
        raise ValueError(f"confidence {confidence} is above 1")
    return CoinPrice(symbol, instant_of_epoch(point, "timestamp"), amount(point, "price", above=0), confidence)


SOURCE = Source(
    name=_NAME,
    title="Daily coin prices",
    tables=(COIN_PRICE,),
    endpoints=(Endpoint("daily", cron="25 0 * * *", every_s=86_400, fetch=fetch, needs=NEEDED_DAYS),),
    policy=HostPolicy(live_urls=("https://coins.llama.fi",), sandbox_path="/defillama_coins", requests_per_s=2.0, burst=2),
    parse=parse,
    config=CoinPricesConfig,
    history=History(first_day=date(2013, 4, 28), fetch=fetch_history),
    homepage="https://api-docs.defillama.com",
)
