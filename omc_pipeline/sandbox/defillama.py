"""``api.llama.fi`` and ``coins.llama.fi``: protocols, TVL, fees and prices, with the gaps and odd kinds of the real answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.market import COINS, DAY_S, HOUR_S, price_usd
from omc_pipeline.sandbox.noise import between, unit, wave
from omc_pipeline.sandbox.world import HISTORY, World, day_start, present


@dataclass(frozen=True)
class Protocol:
    """One protocol: its level of TVL and daily fees in USD; no fees means that nobody knows them."""

    number: str
    slug: str
    name: str
    category: str
    chains: tuple[str, ...]
    level_usd: float
    fees_usd: float | None
    symbol: str = "-"
    gecko_id: str | None = None
    parent: str | None = None


PROTOCOLS = (
    Protocol("182", "lido", "Lido", "Liquid Staking", ("Ethereum", "Solana"), 28.4e9, 2.3e6, "LDO", "lido-dao"),
    Protocol("1599", "aave-v3", "Aave V3", "Lending", ("Ethereum", "Arbitrum", "Base"), 22.1e9, 2.0e6, "AAVE", "aave", "parent#aave"),
    Protocol("111", "aave", "Aave", "Lending", ("Ethereum", "Arbitrum", "Base"), 23.0e9, 2.1e6, "AAVE", "aave"),
    Protocol("3107", "eigenlayer", "EigenLayer", "Restaking", ("Ethereum",), 11.2e9, None, "EIGEN", "eigenlayer"),
    Protocol("118", "makerdao", "MakerDAO", "CDP", ("Ethereum",), 5.3e9, 7.4e5, "MKR", "maker"),
    Protocol("1", "uniswap", "Uniswap", "Dexs", ("Ethereum", "Base", "Arbitrum"), 4.9e9, 3.2e6, "UNI", "uniswap"),
    Protocol("2308", "jito", "Jito", "Liquid Staking", ("Solana",), 2.6e9, 8.1e5, "JTO", "jito-governance-token"),
    Protocol("3", "curve-dex", "Curve DEX", "Dexs", ("Ethereum", "Arbitrum"), 2.1e9, 2.4e5, "CRV", "curve-dao-token"),
    Protocol("2983", "spark", "Spark", "Lending", ("Ethereum",), 3.8e9, None),
    Protocol("4631", "babylon", "Babylon", "Restaking", ("Bitcoin",), 4.4e9, None),
)
_CHAINS: dict[str, tuple[str | None, int | None]] = {
    "Ethereum": ("ETH", 1), "Solana": ("SOL", None), "Bitcoin": ("BTC", None), "Arbitrum": ("ARB", 42161), "Base": (None, 8453),
    "BSC": ("BNB", 56), "Tron": ("TRX", None), "Polygon": ("POL", 137), "Avalanche": ("AVAX", 43114),
}  # fmt: skip
_PARTS = {"dailyFees": 1.0, "dailyRevenue": 0.3}
_UNNAMED_USD = 2e9
"""What a chain holds in protocols that have no name here."""
_BY_SLUG = {protocol.slug: protocol for protocol in PROTOCOLS}
_BY_GECKO_ID = {coin.gecko_id: coin for coin in COINS.values()}


def routes(world: World) -> list[Route]:
    """Return the routes below ``/defillama``, the stand-in of ``api.llama.fi``."""

    async def protocols(request: Request) -> Response:
        now_s = _hour(present(request))
        rows = [_summary(world.seed, protocol, now_s) for protocol in PROTOCOLS]
        return JSONResponse(sorted(rows, key=lambda row: -row["tvl"]))

    async def protocol(request: Request) -> Response:
        found = _BY_SLUG.get(request.path_params["slug"])
        if found is None:
            return PlainTextResponse("Protocol is not in our database", 400)
        return JSONResponse(_history(world.seed, found, present(request)))

    async def fees(request: Request) -> Response:
        part = _part(request)
        return PlainTextResponse("Unsupported dataType", 400) if part is None else JSONResponse(_fees(world.seed, present(request), part))

    async def summary(request: Request) -> Response:
        found, part = _BY_SLUG.get(request.path_params["slug"]), _part(request)
        if found is None or found.fees_usd is None or part is None:
            return PlainTextResponse("Protocol is not in our database", 400)
        return JSONResponse(_fee_history(world.seed, found, present(request), part))

    async def chains(request: Request) -> Response:
        return JSONResponse([_chain(world.seed, chain, _hour(present(request))) for chain in _CHAINS])

    async def chain_history(request: Request) -> Response:
        chain, now = request.path_params["chain"], present(request)
        if chain not in _CHAINS:
            return PlainTextResponse("Chain is not in our database", 400)
        days = [int((day_start(now) - timedelta(days=age)).timestamp()) for age in range(HISTORY.days, -1, -1)]
        return JSONResponse([{"date": at_s, "tvl": _chain(world.seed, chain, at_s)["tvl"]} for at_s in days])

    return [
        Route("/protocols", protocols),
        Route("/protocol/{slug}", protocol),
        Route("/overview/fees", fees),
        Route("/summary/fees/{slug}", summary),
        Route("/v2/chains", chains),
        Route("/v2/historicalChainTvl/{chain}", chain_history),
    ]


def coin_routes(world: World) -> list[Route]:
    """Return the routes below ``/defillama_coins``, the stand-in of ``coins.llama.fi``; coins it does not know are left out."""

    async def current(request: Request) -> Response:
        now_s = present(request).timestamp()
        asked = request.path_params["coins"].split(",")
        return JSONResponse({"coins": {name: price for name in asked if (price := _price(world.seed, name, now_s))}})

    async def historical(request: Request) -> Response:
        at_s = min(float(request.path_params["second"]), present(request).timestamp())
        asked = request.path_params["coins"].split(",")
        return JSONResponse({"coins": {name: price for name in asked if (price := _price(world.seed, name, at_s))}})

    async def chart(request: Request) -> Response:
        query, now_s = request.query_params, present(request).timestamp()
        start, span = int(query["start"]), int(query.get("span", "1"))
        times = [at_s for at_s in (start + number * DAY_S for number in range(span)) if at_s <= now_s]
        asked = request.path_params["coins"].split(",")
        return JSONResponse({"coins": {name: found for name in asked if (found := _chart(world.seed, name, times))}})

    return [
        Route("/prices/current/{coins}", current),
        Route("/prices/historical/{second:int}/{coins}", historical),
        Route("/chart/{coins}", chart),
    ]


def _hour(now: datetime) -> int:
    return int(now.timestamp() // HOUR_S) * HOUR_S


def _tvl_usd(seed: int, protocol: Protocol, at_s: float) -> float:
    drift = 0.08 * wave(seed, protocol.slug, at_s, 20 * DAY_S) + 0.02 * wave(seed, protocol.slug, at_s, DAY_S)
    return round(protocol.level_usd * math.exp(drift), 6)


def _by_chain(protocol: Protocol, tvl_usd: float) -> dict[str, float]:
    """Split a TVL; the pseudo chain ``<chain>-staking`` comes on top of it and must not be summed."""
    shares = [2.0**-i for i in range(len(protocol.chains))]
    chains = {chain: round(tvl_usd * share / sum(shares), 6) for chain, share in zip(protocol.chains, shares, strict=True)}
    if protocol.gecko_id:
        chains["staking"] = chains[f"{protocol.chains[0]}-staking"] = round(tvl_usd * 0.031, 6)
    return chains


def _chain(seed: int, chain: str, at_s: int) -> dict[str, Any]:
    """Compose one row of ``/v2/chains``: what all protocols hold there, a version of a protocol not counted beside it."""
    whole = [protocol for protocol in PROTOCOLS if protocol.parent is None]
    elsewhere_usd = _UNNAMED_USD * math.exp(0.1 * wave(seed, f"chain/{chain}", at_s, 20 * DAY_S))
    tvl_usd = round(elsewhere_usd + sum(_by_chain(protocol, _tvl_usd(seed, protocol, at_s)).get(chain, 0) for protocol in whole), 6)
    symbol, number = _CHAINS[chain]
    return {"gecko_id": chain.lower(), "tvl": tvl_usd, "tokenSymbol": symbol, "cmcId": None, "name": chain, "chainId": number}


def _about(protocol: Protocol, tvl_usd: float) -> dict[str, Any]:
    about: dict[str, Any] = {
        "id": protocol.number,
        "name": protocol.name,
        "address": f"solana:{protocol.slug}Sandbox" if protocol.chains[0] == "Solana" else None,
        "symbol": protocol.symbol,
        "url": f"https://{protocol.slug}.example",
        "description": f"{protocol.name}, as the sandbox invents it",
        "chain": "Multi-Chain" if len(protocol.chains) > 1 else protocol.chains[0],
        "logo": f"https://icons.example/{protocol.slug}.png",
        "audits": "2",
        "audit_note": None,
        "gecko_id": protocol.gecko_id,
        "cmcId": None,
        "category": protocol.category,
        "chains": list(protocol.chains),
        "module": f"{protocol.slug}/index.js",
        "forkedFrom": [],
        "oracles": [],
        "listedAt": 1_600_000_000 + int(protocol.number) * 50_000,
        "mcap": round(tvl_usd * 0.21, 4) if protocol.gecko_id else None,
    }
    if protocol.gecko_id:  # the keys that some rows of the real answer lack
        about |= {"twitter": protocol.slug, "github": [protocol.slug], "methodology": "Counts what is deposited"}
    if protocol.parent:
        about["parentProtocol"] = protocol.parent
    return about


def _summary(seed: int, protocol: Protocol, now_s: int) -> dict[str, Any]:
    """Compose one row of ``/protocols``, where ``tvl`` is a number."""
    tvl_usd = _tvl_usd(seed, protocol, now_s)
    ages_s = {"change_1h": HOUR_S, "change_1d": DAY_S, "change_7d": 7 * DAY_S}
    changes = {name: (tvl_usd / _tvl_usd(seed, protocol, now_s - age_s) - 1) * 100 for name, age_s in ages_s.items()}
    chains = _by_chain(protocol, tvl_usd)
    about = _about(protocol, tvl_usd)
    staking = {"staking": chains["staking"]} if "staking" in chains else {}
    return about | {"slug": protocol.slug, "tvl": tvl_usd, "chainTvls": chains, **changes, "tokenBreakdowns": {}} | staking


def _history(seed: int, protocol: Protocol, now: datetime) -> dict[str, Any]:
    """Compose ``/protocol/{slug}``, where ``tvl`` is a list: a point each 00:00 UTC, and one of the last whole hour."""
    now_s = _hour(now)
    days = [int((day_start(now) - timedelta(days=age)).timestamp()) for age in range(HISTORY.days, -1, -1)]
    dates = days if days[-1] == now_s else [*days, now_s]
    points = [(at_s, _tvl_usd(seed, protocol, at_s)) for at_s in dates]
    total = [{"date": at_s, "totalLiquidityUSD": tvl_usd} for at_s, tvl_usd in points]
    chains = _by_chain(protocol, points[-1][1])
    by_chain = {
        name: {
            "tvl": [{"date": at_s, "totalLiquidityUSD": _by_chain(protocol, tvl_usd)[name]} for at_s, tvl_usd in points],
            "tokensInUsd": [],
            "tokens": [],
        }
        for name in chains
    }
    about = _about(protocol, points[-1][1])
    return about | {
        "chainTvls": by_chain,
        "tvl": total,
        "tokensInUsd": [],
        "tokens": [],
        "currentChainTvls": chains,
        "raises": [],
        "metrics": {},
    }


def _part(request: Request) -> float | None:
    """Return the part of the fees that is asked for: all of them, or what a protocol keeps."""
    return _PARTS.get(request.query_params.get("dataType", "dailyFees"))


def _fee_history(seed: int, protocol: Protocol, now: datetime, part: float) -> dict[str, Any]:
    """Compose ``/summary/fees/{slug}``: pairs of second and amount, the present day unfinished."""
    today = day_start(now)
    days = [today - timedelta(days=age) for age in range(HISTORY.days, -1, -1)]
    chart = [[int(day.timestamp()), round(_day_fees(seed, protocol, day) * part)] for day in days]
    chart[-1][1] = round(chart[-1][1] * (now - today).total_seconds() / DAY_S)
    return {**_fee_row(seed, protocol, now, part), "totalDataChart": chart, "totalDataChartBreakdown": None}


def _fees(seed: int, now: datetime, part: float) -> dict[str, Any]:
    rows = [_fee_row(seed, protocol, now, part) for protocol in PROTOCOLS]
    known = [row for row in rows if row["total24h"] is not None]
    today = day_start(now)
    days = [today - timedelta(days=age) for age in range(HISTORY.days, 0, -1)]
    chart = [[int(day.timestamp()), round(part * sum(_day_fees(seed, p, day) for p in PROTOCOLS if p.fees_usd))] for day in days]
    totals = {name: sum(row[name] for row in known) for name in ("total24h", "total7d", "total30d", "total1y", "totalAllTime")}
    return {"totalDataChart": chart, **totals, "change_1d": -0.5, "change_7d": 3.0, "change_1m": 15.0, "protocols": rows}


def _fee_row(seed: int, protocol: Protocol, now: datetime, part: float) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": protocol.number,
        "name": protocol.name,
        "displayName": protocol.name,
        "module": protocol.slug,
        "category": protocol.category,
        "protocolType": "protocol",
        "slug": protocol.slug,
        "defillamaId": protocol.parent or protocol.number,
        "chains": list(protocol.chains),
    }
    if protocol.parent:
        row["parentProtocol"] = protocol.parent
    if protocol.fees_usd is None:
        return row | {"total24h": None, "totalAllTime": round(protocol.level_usd / 1000)}
    today = day_start(now)
    last = [round(_day_fees(seed, protocol, today - timedelta(days=age)) * part) for age in range(1, 31)]
    change = between(-9, 9, seed, "fees", protocol.slug, today)
    sums = {"total24h": last[0], "total7d": sum(last[:7]), "total30d": sum(last), "total1y": sum(last) * 12, "totalAllTime": sum(last) * 40}
    return row | sums | {"change_1d": round(change, 2), "change_7d": round(change / 2, 2), "change_1m": round(change / 3, 2)}


def _day_fees(seed: int, protocol: Protocol, day: datetime) -> int:
    return round((protocol.fees_usd or 0) * between(0.75, 1.25, seed, "fees", protocol.slug, day.date()))


def _chart(seed: int, name: str, times: list[int]) -> dict[str, Any] | None:
    """Compose the points of one coin: what its price was at each time; a coin that is not known has none."""
    prices = [price for at_s in times if (price := _price(seed, name, at_s))]
    if not prices:
        return None
    about: dict[str, Any] = {key: prices[0][key] for key in ("decimals", "symbol", "confidence") if key in prices[0]}
    return {**about, "prices": [{"timestamp": price["timestamp"], "price": price["price"]} for price in prices]}


def _price(seed: int, name: str, now_s: float) -> dict[str, Any] | None:
    coin = _BY_GECKO_ID.get(name.removeprefix("coingecko:")) if name.startswith("coingecko:") else None
    if coin is None:
        return None
    at_s = int(now_s // 60) * 60 - int(20 * unit(seed, name, now_s // 60))
    decimals = {"decimals": coin.token_decimals} if coin.token_decimals else {}
    price = float(f"{price_usd(seed, coin.symbol, at_s):.6g}")
    return {**decimals, "symbol": coin.symbol, "price": price, "timestamp": at_s, "confidence": 0.99}
