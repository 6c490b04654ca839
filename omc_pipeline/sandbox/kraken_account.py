"""Private part of ``api.kraken.com``: trades, ledger, balances and rights of a key; the names of assets and pairs they use."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omc_pipeline.sandbox.account import Fill, fills
from omc_pipeline.sandbox.keys import account_of_key, may_trade, secret_of_account
from omc_pipeline.sandbox.kraken_names import MONEY, NAMES, asset_name, pair_name
from omc_pipeline.sandbox.market import COINS
from omc_pipeline.sandbox.movements import movements
from omc_pipeline.sandbox.world import World, present

_PAGE = 50
_READING = ["query-funds", "query-closed-trades", "query-ledger"]

Answer = Callable[[World, str, datetime, Mapping[str, str]], Any]
"""The ``result`` for a world, an account, the present and what is asked."""


def account_routes(world: World) -> list[Route]:
    """Return the routes of the private API, and of the names that it uses."""
    door = _Door(world)
    answers: dict[str, Answer] = {"GetApiKeyInfo": _rights, "TradesHistory": _trades, "Ledgers": _ledger, "BalanceEx": _balances}
    private = [Route(f"/0/private/{name}", door.by(name, answer), methods=["POST"]) for name, answer in answers.items()]
    return [Route("/0/public/Assets", _assets), Route("/0/public/AssetPairs", _pairs), *private]


class _Door:
    """A key of any account, HMAC-SHA512 over path, nonce and body, and a nonce above the key's last one; refusals have status 200."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._last_nonces: dict[str, int] = {}

    def by(self, name: str, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            body = await request.body()
            asked = dict(parse_qsl(body.decode()))
            account, nonce = account_of_key(request.headers.get("api-key", ""), "kraken"), asked.get("nonce", "")
            if account is None:
                return _refused("EAPI:Invalid key")
            if not hmac.compare_digest(_signature(account, f"/0/private/{name}", nonce, body), request.headers.get("api-sign", "")):
                return _refused("EAPI:Invalid signature")
            if not nonce.isdecimal() or int(nonce) <= self._last_nonces.get(account, -1):
                return _refused("EAPI:Invalid nonce")
            self._last_nonces[account] = int(nonce)
            return JSONResponse({"error": [], "result": answer(self._world, account, present(request), asked)})

        return guarded


def _signature(account: str, path: str, nonce: str, body: bytes) -> str:
    letters = "".join(c for c in secret_of_account(account, "kraken") if c.isalnum())
    secret = base64.b64decode(letters[: len(letters) // 4 * 4])
    message = path.encode() + hashlib.sha256(nonce.encode() + body).digest()
    return base64.b64encode(hmac.new(secret, message, hashlib.sha512).digest()).decode()


def _refused(details: str) -> Response:
    return JSONResponse({"error": [details]})


async def _assets(_request: Request) -> Response:
    assets = {
        asset_name(name): {
            "aclass": "currency",
            "altname": NAMES.get(name, name),
            "decimals": 10,
            "display_decimals": 5,
            "status": "enabled",
        }
        for name in (*COINS, *MONEY)
    }
    return JSONResponse({"error": [], "result": assets})


async def _pairs(_request: Request) -> Response:
    pairs = {pair_name(coin, money): _pair(coin, money) for coin in COINS for money in MONEY}
    return JSONResponse({"error": [], "result": pairs})


def _pair(coin: str, money: str) -> dict[str, Any]:
    name = NAMES.get(coin, coin)
    return {
        "altname": f"{name}{money}", "wsname": f"{name}/{money}", "aclass_base": "currency", "base": asset_name(coin),
        "aclass_quote": "currency", "quote": asset_name(money), "pair_decimals": COINS[coin].aud_decimals, "lot_decimals": 8,
        "lot_multiplier": 1, "leverage_buy": [], "leverage_sell": [], "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD", "ordermin": "0.0001", "costmin": "0.5", "tick_size": "0.01", "status": "online",
    }  # fmt: skip


def _rights(_world: World, account: str, _now: datetime, _asked: Mapping[str, str]) -> Any:
    return {"apiKeyName": account, "permissions": [*_READING, *(["modify-trades"] if may_trade(account) else [])]}


def _trades(world: World, account: str, now: datetime, asked: Mapping[str, str]) -> Any:
    start = float(asked.get("start", "0"))
    found = [(_id("T", account, fill), fill) for fill in reversed(fills(world, now, account)) if fill.executed_at.timestamp() > start]
    offset = int(asked.get("ofs", "0"))
    return {"count": len(found), "trades": {name: _trade(account, fill) for name, fill in found[offset : offset + _PAGE]}}


def _trade(account: str, fill: Fill) -> dict[str, Any]:
    price, volume, cost = _amounts(fill)
    return {
        "ordertxid": _id("O", account, fill), "postxid": _id("P", account, fill), "pair": pair_name(fill.coin, "AUD"),
        "time": fill.executed_at.timestamp(), "type": fill.side, "ordertype": "limit", "price": f"{price:f}", "cost": f"{cost:f}",
        "fee": f"{_fee(fill):f}", "vol": f"{volume:f}", "margin": "0.00000", "leverage": "0", "misc": "", "maker": True,
    }  # fmt: skip


def _amounts(fill: Fill) -> tuple[Decimal, Decimal, Decimal]:
    """Return price, volume and cost as they are written."""
    price, volume = Decimal(f"{fill.rate_aud:.8f}"), Decimal(f"{fill.amount:.8f}")
    return price, volume, (price * volume).quantize(Decimal("0.00001"))


def _fee(fill: Fill) -> Decimal:
    return Decimal(f"{fill.fee_aud:.5f}")


@dataclass(frozen=True)
class _Entry:
    """A line of the ledger; ``fee`` is taken beside the amount."""

    name: str
    refid: str
    kind: str
    coin: str
    amount: Decimal
    fee: Decimal
    at: datetime


def _entries(world: World, account: str, now: datetime) -> list[_Entry]:
    lines = []
    for number, moved in enumerate(movements(world, now, account, "AUD")):
        amount = Decimal(moved.amount) * (-1 if moved.kind == "withdrawal" else 1)
        name = _hashed("L", account, str(number))
        lines.append(_Entry(name, _hashed("R", name), moved.kind, moved.coin, amount, Decimal(moved.fee), moved.at))
    for fill in fills(world, now, account):
        sign, (_, volume, cost), trade = 1 if fill.side == "buy" else -1, _amounts(fill), _id("T", account, fill)
        lines.append(_Entry(_hashed("L", trade, "coin"), trade, "trade", fill.coin, sign * volume, Decimal(0), fill.executed_at))
        lines.append(_Entry(_hashed("L", trade, "money"), trade, "trade", "AUD", -sign * cost, _fee(fill), fill.executed_at))
    return sorted(lines, key=lambda line: line.at)


def _ledger(world: World, account: str, now: datetime, asked: Mapping[str, str]) -> Any:
    start, offset = float(asked.get("start", "0")), int(asked.get("ofs", "0"))
    found = [line for line in reversed(list(_balanced(_entries(world, account, now)))) if line[0].at.timestamp() > start]
    return {"count": len(found), "ledger": {line.name: _line(line, balance) for line, balance in found[offset : offset + _PAGE]}}


def _balanced(lines: list[_Entry]) -> Iterator[tuple[_Entry, Decimal]]:
    held: dict[str, Decimal] = {}
    for line in lines:
        held[line.coin] = held.get(line.coin, Decimal(0)) + line.amount - line.fee
        yield line, held[line.coin]


def _line(line: _Entry, balance: Decimal) -> dict[str, Any]:
    return {
        "refid": line.refid, "time": line.at.timestamp(), "type": line.kind, "subtype": "", "aclass": "currency",
        "asset": asset_name(line.coin), "amount": f"{line.amount:f}", "fee": f"{line.fee:f}", "balance": f"{balance:f}",
    }  # fmt: skip


def _balances(world: World, account: str, now: datetime, _asked: Mapping[str, str]) -> Any:
    held: dict[str, Decimal] = {}
    for line, balance in _balanced(_entries(world, account, now)):
        held[line.coin] = balance
    return {asset_name(coin): {"balance": f"{balance:f}", "hold_trade": "0.0000000000"} for coin, balance in held.items()}


def _id(letter: str, account: str, fill: Fill) -> str:
    return _hashed(letter, account, fill.executed_at.isoformat(), fill.side, fill.coin)


def _hashed(letter: str, *parts: str) -> str:
    """Return an id of Kraken's form, ``TXXXXX-XXXXX-XXXXXX``."""
    digits = base64.b32encode(hashlib.sha256(" ".join(parts).encode()).digest()).decode()
    return f"{letter}{digits[:5]}-{digits[5:10]}-{digits[10:16]}"
