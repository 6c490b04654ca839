"""``api.kraken.com``: public candles, with the names, the thin minutes and the forming candle of the real answers; and the account."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.kraken_account import account_routes
from omc_pipeline.sandbox.kraken_names import NAMES, pair_name
from omc_pipeline.sandbox.market import COINS, MINUTE_S, aud_per_usd, price_usd
from omc_pipeline.sandbox.noise import between, unit
from omc_pipeline.sandbox.world import HISTORY, World, present

_KEPT = {1: 90, 5: 90, 60: 120, 1440: HISTORY.days}
"""Candles by minutes of their interval; the real upstream keeps 720 of each, which a sandbox need not draw."""
_QUIET_MINUTES = 0.15


def routes(world: World) -> list[Route]:
    """Return the routes below ``/kraken``."""

    async def candles(request: Request) -> Response:
        asked, minutes = request.query_params.get("pair", ""), request.query_params.get("interval", "1")
        market = _market(asked)
        if market is None:
            return _refused("EQuery:Unknown asset pair")
        if not minutes.isdecimal() or int(minutes) not in _KEPT:
            return _refused("EGeneral:Invalid arguments:interval")
        since = request.query_params.get("since", "0")
        rows, last = _rows(world.seed, *market, int(minutes), present(request), int(since) if since.isdecimal() else 0)
        return JSONResponse({"error": [], "result": {pair_name(*market): rows, "last": last}})

    return [Route("/0/public/OHLC", candles), *account_routes(world)]


def _refused(details: str) -> Response:
    return JSONResponse({"error": [details]})


def _market(asked: str) -> tuple[str, str] | None:
    found = [(coin, money) for coin in COINS for money in ("AUD", "USD") if asked == f"{NAMES.get(coin, coin)}{money}"]
    return found[0] if found else None


def _rows(seed: int, coin: str, money: str, minutes: int, now: datetime, since_s: int) -> tuple[list[list[Any]], int]:
    """Return the candles that began after a second, the forming one last, and the begin of the last one that has ended."""
    length_s = minutes * MINUTE_S
    forming = int(now.timestamp() // length_s) * length_s
    starts = range(forming - (_KEPT[minutes] - 1) * length_s, forming + 1, length_s)
    rows = [_row(seed, coin, money, at_s, length_s, now.timestamp()) for at_s in starts if at_s > since_s]
    traded = [row for row in rows if row is not None]
    return traded, forming - length_s


def _row(seed: int, coin: str, money: str, at_s: int, length_s: int, now_s: float) -> list[Any] | None:
    """Draw one candle; a quiet minute has none, or a flat one."""
    end_s = min(at_s + length_s, now_s)
    quiet = length_s == MINUTE_S and unit(seed, coin, money, "quiet", at_s) < _QUIET_MINUTES and end_s < now_s
    if quiet and unit(seed, coin, money, "no row", at_s) < 0.5:
        return None
    first = _price(seed, coin, money, at_s)
    if quiet:
        return [at_s, first, first, first, first, "0.0", "0.00000000", 0]
    prices = [first, *(_price(seed, coin, money, at_s + (end_s - at_s) * part) for part in (0.5, 1.0))]
    ordered = sorted(prices, key=float)
    volume = between(0.1, 4, seed, coin, money, at_s) * (end_s - at_s) / MINUTE_S
    return [at_s, first, ordered[-1], ordered[0], prices[-1], ordered[1], f"{volume:.8f}", 1 + int(volume * 3)]


def _price(seed: int, coin: str, money: str, at_s: float) -> str:
    price = price_usd(seed, coin, at_s) * (aud_per_usd(seed, at_s) if money == "AUD" else 1.0)
    return f"{price:.{COINS[coin].aud_decimals}f}"
