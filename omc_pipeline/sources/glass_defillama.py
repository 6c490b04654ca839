"""Protocol TVL, fees and revenue, chain TVL and coin prices as DefiLlama aggregates them.

Source: DefiLlama, ``GET https://api.llama.fi/protocol/{slug}``, ``/overview/fees``, ``/summary/fees/{slug}``
    (both with ``dataType=dailyRevenue``, too), ``/protocols``, ``/v2/chains``,
    ``/v2/historicalChainTvl/{chain}`` and, on another host, ``https://coins.llama.fi/prices/current/{ids}`` and
    ``/prices/historical/{second}/{ids}``; no key, limits unpublished. ``/protocols`` is several MB and is parsed but not fetched.
Shape: told apart by what they hold, and held to the endpoint that fetched them. ``/protocols`` is a list whose ``tvl`` is a number;
    ``/protocol/{slug}`` an object whose ``tvl`` is a list of ``{date, totalLiquidityUSD}``, daily with the present as last point, and
    which doesn't name its slug; ``/overview/fees`` has ``protocols`` with ``total24h``, ``total7d``, ``total30d``, each null or missing at
    times, and negative where a protocol corrects what it had told too high; prices have ``coins`` by id, with ``confidence`` or without.
    A protocol that is a part of another has ``parentProtocol`` ``parent#aave``; the whole is in no list, but has a slug of its own.
    ``/summary/fees`` has ``totalDataChart``, pairs of second and amount, a day each, the present one unfinished.
    A symbol ``-`` means none. ``chainTvls`` mixes chains with pseudo chains and is not read. ``/v2/chains`` is a list with ``name``,
    ``tokenSymbol``, ``tvl``, read as that only where its endpoint fetched it; the history of a chain is a list of ``{date, tvl}``.
Units: US dollars, as JSON numbers; ``date`` and ``timestamp`` seconds since 1970. Fees and ``/protocols`` carry no time: they
    are observed in the hour of their fetch. Market cap is told for the present only, so the history of ``/protocol`` has none.
Errors: an unknown slug is a 400 with text or ``{"message": ..}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator, Field

from omc_infra.errors import PayloadChangedError, UpstreamRefusedError
from omc_infra.http import HostPolicy
from omc_infra.payload import Payload
from omc_pipeline.assets.names import clean_ticker
from omc_pipeline.assets.reading import shipped
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.items import Item, distinct_rows, read_items
from omc_pipeline.collection.json_body import Document, Json, read_json
from omc_pipeline.collection.options import SourceConfig, Symbol
from omc_pipeline.collection.parsing import ENDPOINT, HISTORY
from omc_pipeline.collection.source import Endpoint, FetchContext, History, Parsed, Source
from omc_pipeline.collection.sweep import sweep
from omc_pipeline.collection.values import amount, instant_of_epoch, optional_amount, optional_text, storable, text
from omc_pipeline.collection.window import Window
from omc_pipeline.ledgers.glass import (
    CHAIN_TVL,
    COIN_PRICE,
    PROTOCOL_DAY,
    PROTOCOL_FEES,
    PROTOCOL_REVENUE,
    PROTOCOL_TVL,
    CoinPrice,
    ProtocolFees,
    ProtocolRevenue,
    ProtocolTvl,
)
from omc_pipeline.ledgers.table import Row
from omc_pipeline.sources._defillama_chains import CHAIN, ChainName, chain_history, chains_now
from omc_pipeline.sources._defillama_days import METRIC, day_rows

_NAME, _VENUE = "glass_defillama", "defillama"
_SLUG = re.compile(r"[^\s/?#]{1,100}")
_FEES_ONLY = {"excludeTotalDataChart": "true", "excludeTotalDataChartBreakdown": "true"}
_DATA_TYPES = {"fees": "dailyFees", "revenue": "dailyRevenue"}
"""What DefiLlama calls the metrics."""
_HOURLY = "5 * * * *"
_DAILY = "35 3 * * *"
_FOLLOWED = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LTC", "LINK")
_CLOSING = time(23, 55)
"""DefiLlama gives the price nearest to a second, which may be some minutes off; it must not be of the next day."""


def _slug_text(written: str) -> str:
    if not _SLUG.fullmatch(written):
        raise ValueError("must be a slug as in https://defillama.com/protocol/<slug>")
    return written


Slug = Annotated[str, AfterValidator(_slug_text)]


class DefiLlamaConfig(SourceConfig):
    """Options: which protocols and coins are followed."""

    protocols: tuple[Slug, ...] = Field(
        ("lido", "aave", "uniswap", "makerdao", "eigenlayer", "jito"),
        min_length=1,
        description="Slugs of the protocols to collect TVL of.",
    )
    fee_protocols: tuple[Slug, ...] = Field(
        ("lido", "aave", "uniswap", "makerdao", "jito"),
        min_length=1,
        description=(
            "Slugs of the protocols to collect daily fees and revenue of. Use either the parts of a protocol or the whole protocol."
        ),
    )
    chains: tuple[ChainName, ...] = Field(
        ("Ethereum", "Solana", "Bitcoin", "BSC", "Tron", "Base", "Arbitrum", "Polygon", "Avalanche"),
        min_length=1,
        description="Names of the chains to collect TVL of, as DefiLlama writes them.",
    )
    coins: dict[str, Symbol] = Field(
        default_factory=lambda: shipped().price_ids(_FOLLOWED),
        min_length=1,
        description="Symbols of the coins to collect prices of, by DefiLlama's id. No other id may use the same symbols.",
    )


def fetch_prices(context: FetchContext) -> Iterator[Payload]:
    """Fetch the current prices of the followed coins."""
    yield context.http.get(f"/prices/current/{','.join(context.config.coins)}", host="coins")


def fetch_fees(context: FetchContext) -> Iterator[Payload]:
    """Fetch the fees of all protocols."""
    yield context.http.get("/overview/fees", params=_FEES_ONLY)


def fetch_revenue(context: FetchContext) -> Iterator[Payload]:
    """Fetch the revenue of all protocols."""
    yield context.http.get("/overview/fees", params={**_FEES_ONLY, "dataType": _DATA_TYPES["revenue"]})


def fetch_days(context: FetchContext) -> Iterator[Payload]:
    """Ask for the fees and the revenue of each followed protocol day by day; a protocol without them is passed over."""
    yield from sweep(_day_asks(context))


def fetch_protocols(context: FetchContext) -> Iterator[Payload]:
    """Fetch each followed protocol with its whole history."""
    return sweep(_protocol_asks(context))


def fetch_chains(context: FetchContext) -> Iterator[Payload]:
    """Fetch the current TVL of all chains."""
    yield context.http.get("/v2/chains")


def fetch_history(context: FetchContext, window: Window) -> Iterator[Payload]:
    """Ask for the coins' prices shortly before the end of each day, and for each followed protocol and chain."""
    ids = ",".join(context.config.coins)
    for day in window.days():
        closing = min(datetime.combine(day, _CLOSING, UTC), context.now)
        yield context.http.get(f"/prices/historical/{int(closing.timestamp())}/{ids}", host="coins", conditional=False)
    yield from sweep([*_protocol_asks(context), *_chain_asks(context), *_day_asks(context)])


def _protocol_asks(context: FetchContext) -> list[Callable[[], Payload]]:
    return [partial(context.http.get, f"/protocol/{slug}", context={"slug": slug}) for slug in context.config.protocols]


def _day_asks(context: FetchContext) -> list[Callable[[], Payload]]:
    return [
        partial(context.http.get, f"/summary/fees/{slug}", params={"dataType": data_type}, context={"slug": slug, METRIC: metric})
        for slug in context.config.fee_protocols
        for metric, data_type in _DATA_TYPES.items()
    ]


def _chain_asks(context: FetchContext) -> list[Callable[[], Payload]]:
    path = "/v2/historicalChainTvl"
    return [partial(context.http.get, f"{path}/{quote(chain)}", context={CHAIN: chain}) for chain in context.config.chains]


def parse(payload: Payload, config: DefiLlamaConfig) -> Parsed:
    """Recognise which of the answers this is, hold it to the endpoint that fetched it, and read its rows."""
    return distinct_rows(_parsed(read_json(payload), payload, config))


def _parsed(document: Document, payload: Payload, config: DefiLlamaConfig) -> Parsed:
    hour = payload.fetched_at.replace(minute=0, second=0, microsecond=0)
    if isinstance(document, list):
        if CHAIN in payload.context:
            return chain_history(document, payload.context[CHAIN])
        if payload.context.get(ENDPOINT) == "chains":
            return chains_now(document, frozenset(config.chains), hour, partial(_symbol, config, at=payload.fetched_at))
        _require(payload, "protocols")
        return _protocol_rows(document, hour, partial(_ticker, config=config, at=payload.fetched_at))
    if isinstance(coins := document.get("coins"), dict):
        _require(payload, "prices")
        return _price_rows(coins, config)
    if isinstance(document.get("tvl"), list):
        _require(payload, "protocols")
        return _history_rows(document, payload, partial(_ticker, config=config, at=payload.fetched_at))
    if isinstance(chart := document.get("totalDataChart"), list) and "protocols" not in document:
        _require(payload, "days")
        return day_rows(document, chart, payload, _slug, _parent)
    if isinstance(protocols := document.get("protocols"), list):
        if payload.context.get(ENDPOINT) == "revenue":
            return _sum_rows(protocols, hour, _revenue)
        _require(payload, "fees")
        return _sum_rows(protocols, hour, _fees)
    details = document.get("message") or document.get("error")
    if isinstance(details, str):
        raise UpstreamRefusedError(f"{_NAME}: DefiLlama answered: {one_line(details)}")
    raise PayloadChangedError(f"{_NAME}: no list 'tvl' or 'protocols' and no object 'coins': not an answer this source knows")


def _require(payload: Payload, endpoint: str) -> None:
    """Refuse an answer that has another shape than those of the endpoint that asked; a saved body names none."""
    asked = payload.context.get(ENDPOINT, endpoint)
    if asked not in (endpoint, HISTORY):
        raise PayloadChangedError(f"{_NAME}: the answer to endpoint '{asked}' has the shape of '{endpoint}'")


def _protocol_rows(protocols: list[Json], hour: datetime, ticker: Callable[[Item], str | None]) -> Parsed:
    if not any(isinstance(protocol, dict) and "tvl" in protocol and "slug" in protocol for protocol in protocols):
        raise PayloadChangedError(f"{_NAME}: a list, but no item has 'tvl' and 'slug' as those of /protocols do")

    def tvl(protocol: Item) -> ProtocolTvl:
        return ProtocolTvl(
            protocol=_slug(protocol),
            observed_at=hour,
            symbol=ticker(protocol),
            name=text(protocol, "name", 200),
            category=optional_text(protocol, "category", 200),
            tvl_usd=amount(protocol, "tvl", least=0),
            mcap_usd=optional_amount(protocol, "mcap", least=0),
            parent=_parent(protocol),
        )

    return read_items(protocols, tvl)


def _history_rows(protocol: Item, payload: Payload, ticker: Callable[[Item], str | None]) -> Parsed:
    try:
        slug = _slug({**protocol, **({"slug": payload.context["slug"]} if "slug" in payload.context else {})})
        name, symbol, category = text(protocol, "name", 200), ticker(protocol), optional_text(protocol, "category", 200)
        parent = _parent(protocol)
    except ValueError as error:
        raise PayloadChangedError(f"{_NAME}: /protocol without a usable head: {error}") from error
    points = protocol["tvl"]
    if not isinstance(points, list) or not points:
        raise PayloadChangedError(f"{_NAME}: 'tvl' of protocol '{slug}' holds no point")

    def tvl(point: Item) -> ProtocolTvl:
        return ProtocolTvl(
            protocol=slug,
            observed_at=instant_of_epoch(point, "date"),
            symbol=symbol,
            name=name,
            category=category,
            tvl_usd=amount(point, "totalLiquidityUSD", least=0),
            mcap_usd=None,
            parent=parent,
        )

    return read_items(points, tvl)


def _sum_rows(protocols: list[Json], hour: datetime, read: Callable[[Item, datetime], Row]) -> Parsed:
    if not any(isinstance(protocol, dict) and "total24h" in protocol for protocol in protocols):
        raise PayloadChangedError(f"{_NAME}: 'protocols' without any 'total24h': not /overview/fees")

    return read_items(protocols, lambda protocol: read(protocol, hour))


def _fees(protocol: Item, hour: datetime) -> ProtocolFees:
    return ProtocolFees(_slug(protocol), hour, text(protocol, "name", 200), *_spans(protocol), _parent(protocol))


def _revenue(protocol: Item, hour: datetime) -> ProtocolRevenue:
    return ProtocolRevenue(_slug(protocol), hour, text(protocol, "name", 200), *_spans(protocol), _parent(protocol))


def _spans(protocol: Item) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    return optional_amount(protocol, "total24h"), optional_amount(protocol, "total7d"), optional_amount(protocol, "total30d")


def _price_rows(coins: Item, config: DefiLlamaConfig) -> Parsed:
    if not coins:
        raise PayloadChangedError(f"{_NAME}: 'coins' is empty: DefiLlama knows none of the ids asked for")
    details = ({"id": coin_id, **coin} if isinstance(coin, dict) else coin for coin_id, coin in coins.items())
    return read_items(details, lambda coin: _price(coin, config))


def _price(coin: Item, config: DefiLlamaConfig) -> CoinPrice:
    confidence = optional_amount(coin, "confidence", least=0)
    if confidence is not None and confidence > 1:
        raise ValueError(f"confidence {confidence} is above 1")
    return CoinPrice(
        symbol=_coin_symbol(coin, config),
        observed_at=instant_of_epoch(coin, "timestamp"),
        price_usd=amount(coin, "price", above=0),
        confidence=confidence,
    )


def _coin_symbol(coin: Item, config: DefiLlamaConfig) -> str:
    """Return the symbol of an id; one that nobody knows is named ``DEFILLAMA:TICKER``, whatever it calls itself."""
    coin_id = str(coin["id"])
    if config.coins.get(coin_id):
        return config.coins[coin_id]
    if known := config.assets.of_price_id(coin_id):
        return known.symbol
    symbol = clean_ticker(text(coin, "symbol", 40))
    if symbol in config.coins.values():
        raise ValueError(f"{one_line(coin_id, 80)} calls itself {symbol}, which is another coin's symbol")
    return f"{_VENUE.upper()}:{symbol}"


def _slug(protocol: Item) -> str:
    """Return the slug, or where the body tells none the one DefiLlama derives from the name."""
    slug = optional_text(protocol, "slug", 100) or text(protocol, "name", 100).lower().replace(" ", "-").replace("'", "")
    if not _SLUG.fullmatch(slug):
        raise ValueError(f"slug {one_line(slug, 60)!r} is no slug")
    return slug


def _ticker(protocol: Item, config: DefiLlamaConfig, at: datetime) -> str | None:
    return _symbol(config, optional_text(protocol, "symbol", 60), at)


def _symbol(config: DefiLlamaConfig, ticker: str | None, at: datetime) -> str | None:
    """Return the symbol of a protocol's or chain's coin; None where it has none, or one that imitates another."""
    if ticker in (None, "-"):
        return None
    try:
        return config.assets.symbol_of(_VENUE, ticker, at)
    except ValueError:  # the row is good without it
        return None


def _parent(protocol: Item) -> str | None:
    """Return the slug of the protocol that this one is a part of."""
    name = protocol.get("parentProtocol")
    slug = name.removeprefix("parent#") if isinstance(name, str) else ""
    return slug if _SLUG.fullmatch(slug) and storable(slug) else None


SOURCE = Source(
    name=_NAME,
    title="DefiLlama",
    tables=(PROTOCOL_TVL, PROTOCOL_FEES, PROTOCOL_REVENUE, PROTOCOL_DAY, COIN_PRICE, CHAIN_TVL),
    endpoints=(
        Endpoint("prices", cron=_HOURLY, every_s=3_600, fetch=fetch_prices, tables=(COIN_PRICE,)),
        Endpoint("fees", cron=_HOURLY, every_s=3_600, fetch=fetch_fees, tables=(PROTOCOL_FEES,)),
        Endpoint("revenue", cron=_HOURLY, every_s=3_600, fetch=fetch_revenue, tables=(PROTOCOL_REVENUE,)),
        Endpoint("days", cron=_DAILY, every_s=86_400, fetch=fetch_days, tables=(PROTOCOL_DAY,)),
        Endpoint("protocols", cron=_HOURLY, every_s=3_600, fetch=fetch_protocols, tables=(PROTOCOL_TVL,)),
        Endpoint("chains", cron=_HOURLY, every_s=3_600, fetch=fetch_chains, tables=(CHAIN_TVL,)),
    ),
    policy=HostPolicy(
        live_urls=("https://api.llama.fi",),
        sandbox_path="/defillama",
        requests_per_s=2.0,
        burst=4,
        others={
            "coins": HostPolicy(live_urls=("https://coins.llama.fi",), sandbox_path="/defillama_coins", requests_per_s=4.0, burst=4),
        },
    ),
    parse=parse,
    config=DefiLlamaConfig,
    history=History(first_day=date(2019, 1, 1), fetch=fetch_history),
    homepage="https://api-docs.defillama.com",
)
