"""Candles of public markets on Kraken: prices and volume of each minute, five minutes, hour and day.

Source: Kraken, ``GET https://api.kraken.com/0/public/OHLC?pair=XBTAUD&interval=1&since=<second>``; no key. Requests are counted by address
    and market, about one a second each (not verified). It gives the newest 720 candles of a market and none before, whatever ``since``
    says: the past reaches 12 hours by the minute, 60 hours by five minutes, 30 days by the hour and two years by the day.
Shape: ``{"error": [], "result": {"XXBTZAUD": [[second, open, high, low, close, vwap, volume, count], ..], "last": second}}``, oldest
    first; prices and volumes as text. The key of the list may be another name of the pair than the one asked for. The last row
    is the candle that is still forming; ``last`` is the one before it. A span without a trade has no row, or a flat one of volume 0.
Units: prices in the second currency of the pair, volume in its first; seconds since 1970, the begin of the span.
Errors: status 200 with texts in ``error``: ``EGeneral:Too many requests`` and ``EAPI:Rate limit exceeded``, ``EService:Unavailable`` and
    ``EService:Busy``, ``EQuery:Unknown asset pair``.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field

from omc_infra.errors import OmcError, PayloadChangedError, RateLimitedError, UpstreamRefusedError, UpstreamUnavailableError
from omc_infra.http import HostPolicy
from omc_infra.payload import Payload
from omc_pipeline.assets.asset import Asset
from omc_pipeline.assets.registry import Registry
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.items import read_items
from omc_pipeline.collection.json_body import Json, read_json
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.parsing import ENDPOINT
from omc_pipeline.collection.source import Endpoint, Fetch, FetchContext, History, Parsed, Source
from omc_pipeline.collection.sweep import sweep
from omc_pipeline.collection.values import amount, instant_of_epoch
from omc_pipeline.collection.window import Window
from omc_pipeline.ledgers.glass import MARKET_CANDLE, MarketCandle

INTERVALS: Mapping[str, timedelta] = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}

_NAME = "glass_market_candles"
_VENUE = "kraken"
_INTERVAL, _PAIR = "interval", "pair"
_KEPT = 720
"""Candles of each interval that Kraken still has."""
_COLUMNS = ("opened", "open", "high", "low", "close", "vwap", "volume", "trades")
_MARKET = re.compile(r"([A-Z0-9_]{1,30}:)?[A-Z0-9.]{1,20}/[A-Z0-9]{2,10}", re.ASCII)
_LEGACY_PAIR = re.compile(r"X([A-Z]{3})[XZ]([A-Z]{3})", re.ASCII)
_QUOTED_IN = ("USDT", "USDC", "AUD", "EUR", "USD", "GBP", "CAD", "CHF", "JPY", "XBT", "ETH")
_TOO_FAST = ("EAPI:Rate limit", "EGeneral:Too many requests")
_DOWN = ("EService:", "EGeneral:Internal error", "EGeneral:Temporary lockout")


def _market_text(written: str) -> str:
    if not _MARKET.fullmatch(written):
        raise ValueError('must be a market like "BTC/AUD"')
    return written


class CandlesConfig(SourceConfig):
    """Options: which markets are followed."""

    pairs: tuple[Annotated[str, AfterValidator(_market_text)], ...] = Field(
        ("BTC/AUD", "ETH/AUD", "SOL/AUD", "BTC/USD"), min_length=1, description="Markets to collect candles of."
    )
    repeated: int = Field(
        10,
        ge=2,
        le=700,
        description="Number of candles before the current one that are read again each time, because their volumes may still change.",
    )


def fetch_of(interval: str) -> Fetch:
    """Return a function that fetches the newest candles of one interval for each market, including repeated and missed ones."""
    length = INTERVALS[interval]

    def fetch(context: FetchContext) -> Iterator[Payload]:
        if context.since is None:
            return _sweep(context, (interval,), None)
        return _sweep(context, (interval,), min(context.since, context.now) - length * context.config.repeated)

    return fetch


def fetch_all(context: FetchContext) -> Iterator[Payload]:
    """Fetch all candles that Kraken still has for each market, to fill gaps of outages and new markets."""
    return _sweep(context, tuple(INTERVALS), None)


def fetch_history(context: FetchContext, window: Window) -> Iterator[Payload]:
    """Ask from the window on, for the intervals whose candles still reach back into it.

    Raises:
        UpstreamRefusedError: None does.
    """
    reaching = tuple(name for name, length in INTERVALS.items() if context.now - _KEPT * length < window.until)
    if not reaching:
        raise UpstreamRefusedError(f"{_NAME}: Kraken keeps {_KEPT} candles of a market, none of them as old as {window.last_day}")
    return _sweep(context, reaching, window.since)


def _sweep(context: FetchContext, intervals: tuple[str, ...], since: datetime | None) -> Iterator[Payload]:
    return sweep(partial(_asked, context, pair, name, since) for name in intervals for pair in context.config.pairs)


def _asked(context: FetchContext, pair: str, interval: str, since: datetime | None) -> Payload:
    minutes = int(INTERVALS[interval] / timedelta(minutes=1))
    symbol, _, currency = _named(pair, context.config.assets).partition("/")
    ticker = partial(context.config.assets.ticker_of, _VENUE)
    params = {"pair": f"{ticker(symbol)}{ticker(currency)}", "interval": str(minutes)}
    if since is not None:
        params["since"] = str(int(since.timestamp()) - 1)  # Kraken gives what began after it
    return context.http.get("/0/public/OHLC", params=params, conditional=False, context={_PAIR: pair, _INTERVAL: interval})


def _named(pair: str, assets: Registry) -> str:
    """Return a market with unique symbols; ``KRAKEN:TICKER`` for unknown coins."""
    return "/".join(_symbol(part, assets) for part in pair.split("/"))


def _symbol(written: str, assets: Registry) -> str:
    found = assets.resolve(written)
    return found.symbol if isinstance(found, Asset) else written if ":" in written else f"{_VENUE.upper()}:{written}"


def parse(payload: Payload, config: CandlesConfig) -> Parsed:
    """Read one row per candle; the current candle is not final."""
    document = read_json(payload)
    details = document.get("error") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(details, list):
        raise PayloadChangedError(f"{_NAME}: no list 'error': not an answer of Kraken")
    if details:
        raise _refusal(one_line("; ".join(str(text) for text in details)))
    key, candles, last = _result(document.get("result"))
    asked = payload.context.get(_PAIR)
    pair = _named(asked, config.assets) if asked else _market(key, partial(config.assets.symbol_of, _VENUE, at=payload.fetched_at))
    interval = payload.context.get(_INTERVAL) or _interval(payload, candles)
    if interval not in INTERVALS:
        raise PayloadChangedError(f"{_NAME}: candles of {one_line(interval, 20)}, which is not an interval of this source")
    items: list[Json] = [dict(zip(_COLUMNS, row, strict=True)) if isinstance(row, list) and len(row) == 8 else row for row in candles]
    ended_before = min(int(payload.fetched_at.timestamp()), last + int(INTERVALS[interval].total_seconds()))
    return read_items(items, partial(_candle, pair=pair, interval=interval, ended_before=datetime.fromtimestamp(ended_before, UTC)))


def _refusal(details: str) -> OmcError:
    message = f"{_NAME}: Kraken reports: {details}"
    if any(mark in details for mark in _TOO_FAST):
        return RateLimitedError(message)
    return UpstreamUnavailableError(message) if any(mark in details for mark in _DOWN) else UpstreamRefusedError(message)


def _result(result: Json) -> tuple[str, list[Json], int]:
    lists = [(key, value) for key, value in result.items() if isinstance(value, list)] if isinstance(result, dict) else []
    last = result.get("last") if isinstance(result, dict) else None
    if len(lists) != 1 or isinstance(last, bool) or not isinstance(last, int) or not 0 <= last < 2**33:
        raise PayloadChangedError(f"{_NAME}: 'result' is not one list of candles and 'last'")
    return lists[0][0], lists[0][1], last


def _market(key: str, named: Callable[[str], str]) -> str:
    """Return the market of a body without a context, from Kraken's name of the pair."""
    legacy = _LEGACY_PAIR.fullmatch(key)
    quote = next((name for name in _QUOTED_IN if key.endswith(name) and len(key) > len(name)), "")
    symbol, currency = legacy.groups() if legacy else (key.removesuffix(quote), quote)
    market = f"{named(symbol)}/{named(currency)}" if symbol and currency else ""
    if not _MARKET.fullmatch(market):
        raise PayloadChangedError(f"{_NAME}: '{one_line(key, 40)}' is not a pair that this source knows")
    return market


def _interval(payload: Payload, candles: list[Json]) -> str:
    """Return the interval of a body without a context: that of its endpoint, or the usual step between its rows."""
    if payload.context.get(ENDPOINT) in INTERVALS:
        return payload.context[ENDPOINT]
    seconds = sorted({row[0] for row in candles if isinstance(row, list) and row and isinstance(row[0], int)})
    steps = Counter(later - earlier for earlier, later in itertools.pairwise(seconds))
    step = steps.most_common(1)[0][0] if steps else 0  # a row that is wrong makes steps of its own
    found = next((name for name, length in INTERVALS.items() if length.total_seconds() == step), None)
    if found is None:
        raise PayloadChangedError(f"{_NAME}: can't find the length of these candles: the usual step between them is {step} s")
    return found


def _candle(row: Mapping[str, Json], *, pair: str, interval: str, ended_before: datetime) -> MarketCandle:
    symbol, _, currency = pair.partition("/")
    opened_at, volume = instant_of_epoch(row, "opened"), amount(row, "volume", least=0)
    high, low = amount(row, "high", above=0), amount(row, "low", above=0)
    opened, closed = amount(row, "open", above=0), amount(row, "close", above=0)
    if not low <= min(opened, closed) <= max(opened, closed) <= high:
        raise ValueError(f"open {opened} and close {closed} are not within low {low} and high {high}")
    trades, vwap = row.get("trades"), amount(row, "vwap", least=0)
    if isinstance(trades, bool) or not isinstance(trades, int) or not 0 <= trades < 2**31:
        raise ValueError("trades is no count")
    return MarketCandle(
        venue=_VENUE,
        symbol=symbol,
        currency=currency,
        interval=interval,
        opened_at=opened_at,
        open=opened,
        high=high,
        low=low,
        close=closed,
        vwap=vwap if vwap and volume else None,
        volume=volume,
        trades=trades,
        is_final=opened_at + INTERVALS[interval] <= ended_before,
    )


SOURCE = Source(
    name=_NAME,
    title="Market candles",
    tables=(MARKET_CANDLE,),
    endpoints=(
        Endpoint("1m", cron="* * * * *", every_s=60, fetch=fetch_of("1m")),
        Endpoint("5m", cron="*/5 * * * *", every_s=300, fetch=fetch_of("5m")),
        Endpoint("1h", cron="*/15 * * * *", every_s=900, fetch=fetch_of("1h")),
        Endpoint("1d", cron="2 * * * *", every_s=3_600, fetch=fetch_of("1d")),
        Endpoint("all", cron="7 */6 * * *", every_s=21_600, fetch=fetch_all),
    ),
    policy=HostPolicy(live_urls=("https://api.kraken.com",), sandbox_path="/kraken", requests_per_s=3.0, burst=20),
    parse=parse,
    config=CandlesConfig,
    history=History(first_day=date(2013, 9, 10), fetch=fetch_history),
    homepage="https://docs.kraken.com/api/docs/rest-api/get-ohlc-data",
)
