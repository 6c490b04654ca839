"""``api.binance.com``: spot markets against USDT, and an account whose trades are told a market at a time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.account import FEE_RATE, Fill, fills
from omc_pipeline.sandbox.keys import account_of_key, may_trade, secret_of_account
from omc_pipeline.sandbox.market import COINS, aud_per_usd
from omc_pipeline.sandbox.movements import Movement, movements
from omc_pipeline.sandbox.world import World, present

_MOST_ROWS, _USUAL_ROWS = 1000, 500
_WINDOW_MS = 90 * 86_400_000
_RECEIVED_WITHIN_MS = 10_000
_CASH = "USDT"
_DONE = {"deposit": 1, "withdrawal": 6}

Answer = Callable[[World, str, datetime, Mapping[str, str]], Response]


def routes(world: World) -> list[Route]:
    """Return the routes below ``/binance``."""

    async def markets(_request: Request) -> Response:
        symbols = [_symbol(coin) for coin in COINS]
        return JSONResponse({"timezone": "UTC", "serverTime": 0, "rateLimits": [], "exchangeFilters": [], "symbols": symbols})

    return [
        Route("/api/v3/exchangeInfo", markets),
        Route("/api/v3/account", _signed(world, _account)),
        Route("/api/v3/myTrades", _signed(world, _trades)),
        Route("/sapi/v1/account/apiRestrictions", _signed(world, _rights)),
        Route("/sapi/v1/capital/deposit/hisrec", _signed(world, _deposits)),
        Route("/sapi/v1/capital/withdraw/history", _signed(world, _withdrawals)),
    ]


def _signed(world: World, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    """Put the door before an answer: a key of any account, HMAC-SHA256 of the query, and a timestamp of the last seconds."""

    async def guarded(request: Request) -> Response:
        account, query = account_of_key(request.headers.get("x-mbx-apikey", ""), "binance"), request.url.query
        signed, _, signature = query.partition("&signature=")
        if account is None:
            return _refused(401, -2015, "Invalid API-key, IP, or permissions for action.")
        expected = hmac.new(secret_of_account(account, "binance").encode(), signed.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature):
            return _refused(400, -1022, "Signature for this request is not valid.")
        now, sent = present(request), request.query_params.get("timestamp", "")
        if not sent.isdecimal() or abs(int(world.clock().timestamp() * 1000) - int(sent)) > _RECEIVED_WITHIN_MS:
            return _refused(400, -1021, "Timestamp for this request is outside of the recvWindow.")
        return answer(world, account, now, request.query_params)

    return guarded


def _refused(status: int, code: int, message: str) -> Response:
    return JSONResponse({"code": code, "msg": message}, status)


def _symbol(coin: str) -> dict[str, Any]:
    return {
        "symbol": f"{coin}{_CASH}", "status": "TRADING", "baseAsset": coin, "baseAssetPrecision": 8, "quoteAsset": _CASH,
        "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT", "MARKET"], "icebergAllowed": True,
        "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "permissions": [], "permissionSets": [["SPOT"]],
        "filters": [{"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"}],
    }  # fmt: skip


def _rights(_world: World, account: str, _now: datetime, _asked: Mapping[str, str]) -> Response:
    trades = may_trade(account)
    return JSONResponse({"ipRestrict": True, "createTime": 0, "enableReading": True, "enableSpotAndMarginTrading": trades,
        "enableWithdrawals": False, "enableInternalTransfer": False, "enableMargin": False, "enableFutures": False,
        "permitsUniversalTransfer": False, "enableVanillaOptions": False})  # fmt: skip


def _trades(world: World, account: str, now: datetime, asked: Mapping[str, str]) -> Response:
    """List the trades of one market, oldest first: from an id or a time on, or the newest ones."""
    market, limit = asked.get("symbol", ""), min(_MOST_ROWS, int(asked.get("limit", _USUAL_ROWS)))
    if market not in {f"{coin}{_CASH}" for coin in COINS}:
        return _refused(400, -1121, "Invalid symbol.")
    if "fromId" in asked and "startTime" in asked:
        return _refused(400, -1128, "Combination of optional parameters invalid.")
    own = [fill for fill in fills(world, now, account) if f"{fill.coin}{_CASH}" == market]
    rows = [_trade(world.seed, market, number, fill) for number, fill in enumerate(own)]
    first_id, start = int(asked.get("fromId", "0")), int(asked.get("startTime", "0"))
    found = [row for row in rows if row["id"] >= first_id and row["time"] >= start]
    is_from = "fromId" in asked or "startTime" in asked
    return JSONResponse(found[:limit] if is_from else found[-limit:])


def _trade(seed: int, market: str, number: int, fill: Fill) -> dict[str, Any]:
    price, qty, cost, commission = _amounts(seed, fill)
    return {
        "symbol": market, "id": number, "orderId": 1_000 + number, "orderListId": -1, "price": f"{price:f}", "qty": f"{qty:f}",
        "quoteQty": f"{cost:f}", "commission": f"{commission:f}", "commissionAsset": fill.coin if fill.side == "buy" else _CASH,
        "time": _ms(fill.executed_at), "isBuyer": fill.side == "buy", "isMaker": False, "isBestMatch": True,
    }  # fmt: skip


def _amounts(seed: int, fill: Fill) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Return price, quantity, cost and commission; the commission is taken from what was got."""
    price = Decimal(f"{fill.rate_aud / aud_per_usd(seed, fill.executed_at.timestamp()):.8f}")
    qty = Decimal(f"{fill.amount:.8f}")
    cost = (price * qty).quantize(Decimal("1e-8"))
    return price, qty, cost, ((qty if fill.side == "buy" else cost) * Decimal(str(FEE_RATE))).quantize(Decimal("1e-8"))


def _account(world: World, account: str, now: datetime, _asked: Mapping[str, str]) -> Response:
    held = dict.fromkeys((_CASH, *COINS, "BNB"), Decimal(0))
    for moved in _movements(world, now, account):
        held[moved.coin] += Decimal(moved.amount) if moved.kind == "deposit" else -Decimal(moved.amount) - Decimal(moved.fee)
    for fill in fills(world, now, account):
        _, qty, cost, commission = _amounts(world.seed, fill)
        bought = fill.side == "buy"
        held[fill.coin] += qty - commission if bought else -qty
        held[_CASH] += -cost if bought else cost - commission
    balances = [{"asset": coin, "free": f"{amount:.8f}", "locked": "0.00000000"} for coin, amount in held.items()]
    return JSONResponse({"makerCommission": 10, "canTrade": True, "accountType": "SPOT", "updateTime": _ms(now), "balances": balances})


def _movements(world: World, now: datetime, account: str) -> list[Movement]:
    return [moved for moved in movements(world, now, account, _CASH) if moved.kind != "staking"]


def _deposits(world: World, account: str, now: datetime, asked: Mapping[str, str]) -> Response:
    return _moved(world, account, now, asked, "deposit")


def _withdrawals(world: World, account: str, now: datetime, asked: Mapping[str, str]) -> Response:
    return _moved(world, account, now, asked, "withdrawal")


def _moved(world: World, account: str, now: datetime, asked: Mapping[str, str], kind: str) -> Response:
    """List movements of one kind, newest first, within at most 90 days; without a window those of the last 90 days."""
    end = int(asked.get("endTime", _ms(now)))
    start = int(asked.get("startTime", end - _WINDOW_MS))
    if end - start > _WINDOW_MS:
        return _refused(400, -1127, "More than 90 days between startTime and endTime.")
    numbered = [(n, moved) for n, moved in enumerate(_movements(world, now, account)) if moved.kind == kind]
    rows = [_row(account, number, moved) for number, moved in reversed(numbered) if start <= _ms(moved.at) <= end]
    return JSONResponse(rows[: min(_MOST_ROWS, int(asked.get("limit", _MOST_ROWS)))])


def _row(account: str, number: int, moved: Movement) -> dict[str, Any]:
    digest = hashlib.sha256(f"{account} {number}".encode()).hexdigest()
    shared = {"id": digest[:32], "amount": moved.amount, "coin": moved.coin, "network": "SOL", "status": _DONE[moved.kind],
        "address": digest[:44], "addressTag": "", "txId": digest, "transferType": 0}  # fmt: skip
    if moved.kind == "deposit":
        return {**shared, "insertTime": _ms(moved.at), "walletType": 0}
    return {**shared, "transactionFee": moved.fee, "applyTime": f"{moved.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", "confirmNo": 3}


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
