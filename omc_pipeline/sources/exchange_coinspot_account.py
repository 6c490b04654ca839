"""Fills and balances of one user's CoinSpot account.

Source: CoinSpot, ``POST https://www.coinspot.com.au/api/v2/ro/my/orders/completed`` and ``../my/balances``, with a read-only key.
    Headers ``key`` and ``sign`` (hex HMAC-SHA512 of the exact body bytes); the body holds an integer ``nonce`` above every earlier
    one of the key, so one process at a time may use a key. A window is two UTC dates, read as inclusive, and at most 500 rows
    without a cursor: a full one is halved.
Shape: orders ``{"status", "buyorders": [..], "sellorders": [..]}`` with rows ``coin, type, market, rate, amount, total, solddate,
    audfeeExGst, audGst, audtotal``, in any order and **without an id**: a fill's id is a digest of market, side, amount, time and
    its place among rows that agree in these, so it depends neither on how they are written nor on a rate, total or fee that is told
    later. One of rate and total may be missing or no amount, as in rows of ``my/transactions``; a row without both is rejected. The v1
    ``orders`` history tells no side; its rows are rejected, too.
    Balances come as object ``balance`` {btc: n}, as list ``balance`` of one-key objects, or as list ``balances`` of
    {"BTC": {"balance", "audbalance", "rate"}}; AUD is one of the coins, NFTs are keys ``NFT|||0x..|||id`` and rejected.
Units: ``amount`` in units of the coin; ``rate`` and ``total`` (before the fee) in the second coin of ``market``; fee = audfeeExGst + audGst
    in AUD, unknown where either part is missing or no amount; ``audbalance`` truncated to cents, absent where it is no amount.
    ``solddate`` is ISO 8601 in v2, milliseconds in v1. Balances have no time of their own.
Errors: status ``invalid`` (key, signature) and ``no nonce`` beside ``error``; the second of two equal nonces is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial

from omc_infra.errors import NotConfiguredError, PayloadChangedError, UpstreamRefusedError
from omc_infra.http import Signed, SignedBody
from omc_infra.payload import Payload
from omc_pipeline.assets.registry import Registry
from omc_pipeline.collection.items import Item, read_items
from omc_pipeline.collection.json_body import Json
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Endpoint, FetchContext, Parsed, Rejected, Source
from omc_pipeline.collection.values import amount, described, instant, instant_of_epoch, text, usable_amount
from omc_pipeline.ledgers.exchange import BALANCE, FILL, Balance, Fill
from omc_pipeline.ledgers.identity import fact_digest, with_digest_ids
from omc_pipeline.sources._coinspot import HOMEPAGE, HOST, opened, symbol_of

PAGE_ROWS = 500
"""Most rows CoinSpot gives in one answer."""
ACCOUNT = "coinspot"

_NAME = "exchange_coinspot_account"
_KEYS = ("coinspot", "coinspot_secret")
_FIRST_DAY = date(2013, 1, 1)
_OVERLAP = timedelta(days=2)
_PLAUSIBLY_ALIKE = 3
"""Two orders may each have an equal twin; when so many have, the answer was doubled, and its copies would become fills."""


def fetch_orders(context: FetchContext) -> Iterator[Payload]:
    """Ask for the orders completed since shortly before the ledger's newest fill.

    Raises:
        UpstreamRefusedError: More than a page of orders on a single day, which the API has no way to tell.
    """
    ask = _asker(context)
    first = _FIRST_DAY if context.since is None else (context.since - _OVERLAP).date()
    last = context.now.date() + timedelta(days=1)
    yield from _orders(ask, first, last)


def fetch_balances(context: FetchContext) -> Iterator[Payload]:
    """Fetch the balances of the account."""
    yield _asker(context)("/api/v2/ro/my/balances", {})


Ask = Callable[[str, Mapping[str, Json]], Payload]


def _asker(context: FetchContext) -> Ask:
    """Bind the account to the client.

    Raises:
        NotConfiguredError: There is no account to ask for.
    """
    if context.account is None:
        raise NotConfiguredError(f"{_NAME} needs an account, but there is none")
    whose = context.account.context

    def ask(path: str, parameters: Mapping[str, Json]) -> Payload:
        return context.http.post(path, json=parameters, repeatable=True, context=whose)

    return ask


def sign(body: bytes, keys: Mapping[str, str], nonce: int) -> Signed:
    """Return the exact bytes to send, the nonce among their fields, and the headers that sign them."""
    content = json.dumps({**json.loads(body), "nonce": nonce}).encode()
    signature = hmac.new(keys["coinspot_secret"].encode(), content, hashlib.sha512).hexdigest()
    return content, {"key": keys["coinspot"], "sign": signature, "Content-Type": "application/json"}


def _orders(ask: Ask, first: date, last: date) -> list[Payload]:
    """Return the payloads that together hold all orders of the days from first to last, each of them less than full."""
    window: dict[str, Json] = {"startdate": first.isoformat(), "enddate": last.isoformat(), "limit": PAGE_ROWS}
    payload = ask("/api/v2/ro/my/orders/completed", window)
    if not _is_full(payload):
        return [payload]
    if first == last:
        raise UpstreamRefusedError(f"{_NAME}: {PAGE_ROWS} orders or more on {first}, and CoinSpot gives no second page: some can't be read")
    middle = first + (last - first) // 2
    halves = [*_orders(ask, first, middle), *_orders(ask, middle + timedelta(days=1), last)]
    if sum(sum(_counts(half)) for half in halves) < sum(_counts(payload)):
        raise PayloadChangedError(f"{_NAME}: the halves of {first} to {last} hold fewer orders than the whole: are dates still inclusive?")
    return halves


def _is_full(payload: Payload) -> bool:
    """Whether orders may be missing; the limit is documented neither as one of both lists together nor of each."""
    counts = _counts(payload)
    return sum(counts) == PAGE_ROWS or max(counts) >= PAGE_ROWS


def _counts(payload: Payload) -> tuple[int, int]:
    document = opened(payload)
    buys, sells = document.get("buyorders"), document.get("sellorders")
    return len(buys) if isinstance(buys, list) else 0, len(sells) if isinstance(sells, list) else 0


def parse(payload: Payload, config: SourceConfig) -> Parsed:
    """Recognise orders or balances, and read their rows for the user and account of the payload's context."""
    document = opened(payload)
    user_id, account_id = payload.context.get("user_id", "demo"), payload.context.get("account_id", ACCOUNT)
    if "buyorders" in document or "sellorders" in document:
        return _order_rows(document, user_id, account_id, config.assets)
    if "balances" in document or "balance" in document:
        return _balance_rows(document, user_id, account_id, payload.fetched_at.replace(microsecond=0), config.assets)
    if isinstance(orders := document.get("orders"), list):
        return read_items(orders, _sideless)
    if "sendtransactions" in document or "receivetransactions" in document:
        raise PayloadChangedError(f"{_NAME}: a my/sendreceive answer: transfers are not collected yet")
    if "prices" in document:
        raise PayloadChangedError(f"{_NAME}: an answer of /latest; that is source exchange_coinspot_prices")
    raise PayloadChangedError(f"{_NAME}: neither orders nor balances of an account")


def _order_rows(document: Item, user_id: str, account_id: str, assets: Registry) -> Parsed:
    sides = {"buy": document.get("buyorders"), "sell": document.get("sellorders")}
    if not all(isinstance(orders, list) for orders in sides.values()):
        raise PayloadChangedError(f"{_NAME}: expected both lists 'buyorders' and 'sellorders'")
    rows: list[Fill] = []
    rejected: list[Rejected] = []
    for side, orders in sides.items():
        read = partial(_fill, side=side, user_id=user_id, account_id=account_id, assets=assets)
        parsed = read_items(orders if isinstance(orders, list) else (), read)
        rows += [row for row in parsed.rows if isinstance(row, Fill)]
        rejected += parsed.rejected
    alike = Counter(map(fact_digest, rows))
    if len(alike) >= _PLAUSIBLY_ALIKE and min(alike.values()) > 1:
        raise PayloadChangedError(f"{_NAME}: every one of {len(alike)} orders is told more than once: an answer that repeats itself")
    return Parsed(with_digest_ids(rows), rejected)


def _fill(order: Item, side: str, user_id: str, account_id: str, assets: Registry) -> Fill:
    sold_at = _sold_at(order)
    symbol, currency = _market(order, partial(symbol_of, assets, at=sold_at))
    qty = amount(order, "amount", above=0)
    price, total = (usable_amount(order, name, above=0) for name in ("rate", "total"))
    if price is None and total is None:
        raise ValueError(f"neither rate nor total is usable: they are {described(order.get('rate'))} and {described(order.get('total'))}")
    parts = [usable_amount(order, name, least=0) for name in ("audfeeExGst", "audGst")]
    fee = None if None in parts else sum((part for part in parts if part is not None), Decimal(0))
    return Fill("", user_id, account_id, symbol, currency, side, qty, price, total, fee, "AUD", sold_at)


def _market(order: Item, named: Callable[[str], str]) -> tuple[str, str]:
    """Read base and quote of a market, written as ``BTC/AUD``, ``btc/aud`` or, beside the coin it begins with, ``BTCAUD``."""
    market = text(order, "market", 60).upper()
    base, slash, quoted_in = market.partition("/")
    coin = text(order, "coin", 30) if order.get("coin") is not None else base
    if not slash and market.startswith(coin.upper()):
        base, quoted_in = coin, market[len(coin) :]
    if not quoted_in:
        raise ValueError(f"market {base!r} is not like BTC/AUD")
    symbol, currency = named(base), named(quoted_in)
    if named(coin) != symbol:
        raise ValueError(f"coin {named(coin)} is not what market {symbol}/{currency} trades")
    return symbol, currency


def _sold_at(order: Item) -> datetime:
    name = "created" if order.get("solddate") is None and "created" in order else "solddate"
    if isinstance(order.get(name), int):
        return instant_of_epoch(order, name, unit="ms")
    return instant(order, name)


def _sideless(_order: Item) -> Fill:
    raise ValueError("the v1 order history tells neither side nor whose order it was")


def _balance_rows(document: Item, user_id: str, account_id: str, second: datetime, assets: Registry) -> Parsed:
    held = document.get("balances", document.get("balance"))
    entries: list[Json]
    if isinstance(held, dict):
        entries = [{coin: of_coin} for coin, of_coin in held.items()]
    elif isinstance(held, list):
        entries = held
    else:
        raise PayloadChangedError(f"{_NAME}: balances are neither an object nor a list")
    tickers = {coin.upper() for entry in entries if isinstance(entry, dict) for coin in entry}
    seen: set[str] = set()

    def balance(entry: Item) -> Balance:
        if len(entry) != 1:
            raise ValueError(f"{len(entry)} coins in one entry")
        ((coin, of_coin),) = entry.items()
        symbol = symbol_of(assets, coin, second, tickers)
        if symbol in seen:
            raise ValueError(f"{symbol} is listed twice")
        details: Item = of_coin if isinstance(of_coin, dict) else {"balance": of_coin}
        qty, value_aud = amount(details, "balance", least=0), usable_amount(details, "audbalance", least=0)
        seen.add(symbol)
        return Balance(user_id, account_id, symbol, second, qty, value_aud)

    return read_items(entries, balance)


SOURCE = Source(
    name=_NAME,
    title="CoinSpot account",
    tables=(FILL, BALANCE),
    endpoints=(
        Endpoint("orders", cron="*/5 * * * *", every_s=300, fetch=fetch_orders, tables=(FILL,)),
        Endpoint("balances", cron="*/5 * * * *", every_s=300, fetch=fetch_balances, tables=(BALANCE,)),
    ),
    policy=replace(HOST, auth=SignedBody(("coinspot", "coinspot_secret"), sign)),
    parse=parse,
    homepage=HOMEPAGE,
    keys_at="https://www.coinspot.com.au/my/api",
    per_account=True,
    venue=ACCOUNT,
)
