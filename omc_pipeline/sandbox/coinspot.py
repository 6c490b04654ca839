"""``www.coinspot.com.au``: public prices, and the read-only account behind a signed POST."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.account import SPREAD, Fill, fills, holdings
from omc_pipeline.sandbox.keys import account_of_key, secret_of_account
from omc_pipeline.sandbox.market import COINS, MINUTE_S, price_aud
from omc_pipeline.sandbox.noise import between, unit
from omc_pipeline.sandbox.world import World, iso_ms, present

_DEFAULT_ROWS, _MAX_ROWS = 200, 500
_LAST_OUTSIDE = 0.01
"""Share of prices whose ``last`` lies above the ask, as it happens on a thin market."""

Answer = Callable[[World, str, datetime, dict[str, Any]], Response]
"""Of the world, the account, the present and what is asked."""


def routes(world: World) -> list[Route]:
    """Return the routes below ``/coinspot``."""
    signed = _Signed(world)

    async def latest(request: Request) -> Response:
        now_s = present(request).timestamp()
        return JSONResponse({"status": "ok", "prices": {coin.lower(): _quote(world.seed, coin, now_s) for coin in COINS}})

    return [
        Route("/pubapi/v2/latest", latest),
        Route("/api/v2/ro/status", signed.by(_status), methods=["POST"]),
        Route("/api/v2/ro/my/balances", signed.by(_balances), methods=["POST"]),
        Route("/api/v2/ro/my/orders/completed", signed.by(_orders), methods=["POST"]),
    ]


class _Signed:
    """The door of the private API: a key of any account, HMAC-SHA512 of the exact body, and a nonce above the key's last one."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._last_nonces: dict[str, int] = {}

    def by(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """Put the door before an answer. Refusals are HTTP 200 with a status of their own, as recorded."""

        async def guarded(request: Request) -> Response:
            body = await request.body()
            account = account_of_key(request.headers.get("key", ""))
            expected = hmac.new(secret_of_account(account or "").encode(), body, hashlib.sha512).hexdigest()
            if account is None or not hmac.compare_digest(expected, request.headers.get("sign", "")):
                return JSONResponse({"status": "invalid"})
            asked = _json_object(body)
            nonce = asked.get("nonce")
            if not isinstance(nonce, int) or isinstance(nonce, bool) or nonce <= self._last_nonces.get(account, -1):
                return JSONResponse({"status": "no nonce"})
            self._last_nonces[account] = nonce
            return answer(self._world, account, present(request), asked)

        return guarded


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _quote(seed: int, coin: str, now_s: float) -> dict[str, str]:
    """Compose one coin's prices: strings, trailing zeros dropped, and no time."""
    middle = price_aud(seed, coin, now_s)
    minute = int(now_s // MINUTE_S)
    is_outside = unit(seed, "outside", coin, minute) < _LAST_OUTSIDE
    last = middle * (1 + (SPREAD * 1.2 if is_outside else SPREAD * between(-0.9, 0.9, seed, "last", coin, minute)))
    prices = {"bid": middle * (1 - SPREAD), "ask": middle * (1 + SPREAD), "last": last}
    return {name: _price_text(price, COINS[coin].aud_decimals) for name, price in prices.items()}


def _price_text(price: float, decimals: int) -> str:
    return f"{price:.{decimals}f}".rstrip("0").rstrip(".")


def _status(_world: World, _account: str, _now: datetime, _asked: dict[str, Any]) -> Response:
    return JSONResponse({"status": "ok", "message": "ok"})


def _balances(world: World, account: str, now: datetime, _asked: dict[str, Any]) -> Response:
    """List one-key objects: AUD among the coins, ``audbalance`` truncated, a retired coin still there with nothing."""
    rows: list[dict[str, Any]] = []
    for coin, held in holdings(world, now, account).items():
        rate = 1.0 if coin == "AUD" else round(price_aud(world.seed, coin, now.timestamp()), COINS[coin].aud_decimals)
        rows.append({coin: {"balance": held, "audbalance": math.floor(held * rate * 100) / 100, "rate": rate}})
    rows.append({"RHOC": {"balance": 0, "audbalance": 0, "rate": 0}})
    return JSONResponse({"status": "ok", "message": "ok", "balances": rows})


def _orders(world: World, account: str, now: datetime, asked: dict[str, Any]) -> Response:
    """List completed orders, newest first but for some neighbours; ``startdate`` and ``enddate`` are UTC days, both included."""
    try:
        first = date.fromisoformat(asked.get("startdate") or "1970-01-01")
        last = date.fromisoformat(asked.get("enddate") or "9999-12-30")
        limit = min(_MAX_ROWS, int(asked.get("limit") or _DEFAULT_ROWS))
    except (ValueError, TypeError):
        return JSONResponse({"status": "error", "message": "Invalid date or limit"}, 400)
    within = [fill for fill in reversed(fills(world, now, account)) if first <= fill.executed_at.date() < last + timedelta(days=1)]
    sides = {f"{side}orders": _shuffled([_order(fill) for fill in within if fill.side == side][:limit]) for side in ("buy", "sell")}
    return JSONResponse({"status": "ok", "message": "ok", **sides})


def _order(fill: Fill) -> dict[str, Any]:
    """Compose one order. It has no id; ``otc`` is there for instant orders only; the fee is split in two."""
    sign = 1 if fill.side == "buy" else -1
    return {
        "coin": fill.coin,
        "type": "instant" if fill.is_instant else "market",
        **({"otc": False} if fill.is_instant else {}),
        "market": f"{fill.coin}/AUD",
        "rate": fill.rate_aud,
        "amount": fill.amount,
        "total": fill.total_aud,
        "solddate": iso_ms(fill.executed_at),
        "audfeeExGst": round(fill.fee_aud / 1.1, 8),
        "audGst": round(fill.fee_aud / 11, 8),
        "audtotal": round(fill.total_aud + sign * fill.fee_aud, 2),
    }


def _shuffled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Swap each fifth row with the next: the real list is not strictly in order."""
    for n in range(3, len(rows) - 1, 5):
        rows[n], rows[n + 1] = rows[n + 1], rows[n]
    return rows
