"""Fills, transfers and balances of a user's account at any venue that ccxt can read.

Source: The venue's own private API, asked by ccxt's unified methods ``fetchMyTrades``, ``fetchDeposits`` and ``fetchWithdrawals`` (Kraken:
    ``fetchLedger``) and ``fetchBalance``, with a key that can only read. ccxt spells and signs requests and reads answers; they go through
    the polite client, and nothing but these methods can ask. Needs the optional dependency ``omc[ccxt]``. Where a venue tells what a
    key may do (Kraken, Binance, Bybit, OKX, Coinbase), one that may do more than read is refused.
Shape: The venue's. The context of each answer names the venue and the method, and says what the names of markets and currencies in it mean,
    so that a stored answer can be read again without a network. A saved body is read as Kraken's. Kraken's trades are pages of 50, newest
    first, Binance's are told a market at a time, its transfers 90 days at a time.
Units: Units of the coin; price and amount in the second coin of the market. Spot markets only. A fee is unknown where none is told or it is
    a rebate. Only completed transfers are told; their currency is the coin itself, for they have no price. A transfer between the
    user's own accounts is a withdrawal here and a deposit there. Kraken's rewards are ``staking``; what its app calls *buy* and
    *convert* is not told, nor are deposits and withdrawals of fiat money at Binance.
Errors: As ccxt sorts them: a refused key or signature, a rate limit, a maintenance, any other refusal; also within status 200.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import Field

from omc_infra.errors import NotConfiguredError, PayloadChangedError, UpstreamRefusedError
from omc_infra.payload import Payload
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.parsing import ENDPOINT
from omc_pipeline.collection.source import Endpoint, FetchContext, Parsed, Source, Venues
from omc_pipeline.ledgers.exchange import BALANCE, FILL
from omc_pipeline.sources._ccxt_rows import Owner, unread
from omc_pipeline.sources._ccxt_talk import HELD, METHOD, READING, VENUE, Conversation, StoredAnswer
from omc_pipeline.sources._ccxt_venue import EXTRA, is_installed, knows, policy_of, traits

_NAME = "exchange_ccxt_account"
_DEFAULT_VENUE = "kraken"
_METHODS = {"fills": "fetch_my_trades", "transfers": "fetch_ledger", "balances": "fetch_balance"}
"""How a saved body is read, by its endpoint."""
_EVERY_5_MINUTES = "*/5 * * * *"
_DAY_S = 86_400.0
_MOST_PAGES = 10_000


class CcxtAccountConfig(SourceConfig):
    """Options: which markets are read, and how far back."""

    markets: tuple[str, ...] = Field(
        (),
        description='Markets such as "BTC/USDT" to read trades of, at venues that list trades by market. The markets of all coins that '
        "the account holds, against the `quotes`, are always read.",
    )
    quotes: tuple[str, ...] = Field(
        ("USDT", "USDC", "AUD", "USD", "EUR", "BTC"),
        min_length=1,
        description="Quote currencies and coins. At venues that list trades by market, the markets of held coins against these are read. "
        "They are also used to split the names of markets that a venue no longer lists.",
    )
    first_day: date = Field(date(2017, 1, 1), description="First day to read when an account is collected for the first time.")
    overlap_days: int = Field(
        3, ge=1, le=90, description="Number of days before the last collection that are read again, to find late entries."
    )
    pending_days: int = Field(30, ge=1, le=90, description="The same for transfers, which may take long to complete.")


def fetch_fills(context: FetchContext) -> Iterator[Payload]:
    """Fetch the trades since shortly before the last collection, by market if the venue requires it."""
    talk, config = _talk(context), context.config
    since = _since(context, config.overlap_days)
    if not talk.traits.asks_by_market:
        begin = None if talk.traits.pages_by_offset else _first_moment(config)
        yield from _trades(talk, "", since or begin)
        return
    held, answers = talk.call("fetch_balance")
    markets = _markets(talk, held, config)
    if not markets:  # nothing is held, and nothing else is asked for
        yield from answers
    for market in markets:
        yield from _trades(talk, market, since)


def fetch_transfers(context: FetchContext) -> Iterator[Payload]:
    """Fetch deposits and withdrawals since some time before the last collection."""
    talk = _talk(context)
    begin = _since(context, context.config.pending_days) or _first_moment(context.config)
    methods = _movement_methods(talk)
    if not methods:  # the venue tells of none
        yield from talk.call("fetch_balance")[1]
    for method in methods:
        for since, until in _windows(begin, context.now, talk.traits.most_days):
            yield from _pages_of_ledger(talk, since) if method == "fetch_ledger" else _movements(talk, method, since, until)


def fetch_balances(context: FetchContext) -> Iterator[Payload]:
    """Fetch the balances of the account."""
    account_id = context.account.account_id if context.account else ""
    rows = context.held(BALANCE, context.now - timedelta(days=1))
    held = sorted({row["symbol"] for row in rows if row["account_id"] == account_id and row["qty"]})
    yield from _talk(context, {HELD: " ".join(held)}).call("fetch_balance")[1]


def _talk(context: FetchContext, noted: Mapping[str, str] | None = None) -> Conversation:
    """Begin to talk with the account's venue, with a key that can only read.

    Raises:
        NotConfiguredError: There is no account to ask for.
        AccessDeniedError: The key may do more than read.
    """
    if context.account is None:
        raise NotConfiguredError(f"{_NAME} needs an account, but there is none")
    talk = Conversation(context.http, context.account, _DAY_S, noted or {})
    talk.require_read_only()
    return talk


def _first_moment(config: CcxtAccountConfig) -> datetime:
    return datetime.combine(config.first_day, datetime.min.time(), UTC)


def _since(context: FetchContext, overlap_days: int) -> datetime | None:
    return None if context.asked_at is None else context.asked_at - timedelta(days=overlap_days)


def _trades(talk: Conversation, market: str, since: datetime | None) -> Iterator[Payload]:
    """Fetch page by page, until one is not full."""
    start, known = _milliseconds(since), set[str]()
    parameters: dict[str, Any] = {} if start is not None or not market else {"fromId": 0}
    for page in range(_MOST_PAGES):
        if talk.traits.pages_by_offset:
            parameters = {"ofs": page * talk.traits.page_rows}
        trades, answers = talk.call("fetch_my_trades", start, talk.traits.page_rows, market=market, **parameters)
        yield from answers
        identities = {str(trade["id"]) for trade in trades}
        if talk.rows_of(trades) < talk.traits.page_rows or (trades and identities <= known):
            return
        known |= identities
        if not talk.traits.pages_by_offset:
            times = [int(trade["timestamp"]) for trade in trades if trade["timestamp"] is not None]
            if not times:
                raise PayloadChangedError(f"{_NAME}: {talk.venue}: no trade of a full page has a time, so the next page can't be requested")
            parameters, start = {}, max(times)
    raise UpstreamRefusedError(f"{_NAME}: more than {_MOST_PAGES:,} pages of trades at {talk.venue}")


def _pages_of_ledger(talk: Conversation, since: datetime) -> Iterator[Payload]:
    for page in range(_MOST_PAGES):
        entries, answers = talk.call("fetch_ledger", None, _milliseconds(since), None, ofs=page * talk.traits.page_rows)
        yield from answers
        if talk.rows_of(entries) < talk.traits.page_rows:
            return
    raise UpstreamRefusedError(f"{_NAME}: more than {_MOST_PAGES:,} pages of the ledger at {talk.venue}")


def _movements(talk: Conversation, method: str, since: datetime, until: datetime) -> Iterator[Payload]:
    """Ask for a window of deposits or withdrawals, and for its halves where the answer may be cut.

    Raises:
        UpstreamRefusedError: As much as a page within an hour.
    """
    rows, answers = talk.call(method, None, _milliseconds(since), talk.traits.page_rows, until=_milliseconds(until))
    count = talk.rows_of(rows)
    if count < talk.traits.page_rows:
        yield from answers
        return
    if until - since < timedelta(hours=1):
        raise UpstreamRefusedError(f"{_NAME}: {count} transfers or more at {talk.venue} from {since} on: some can't be read")
    middle = since + (until - since) / 2
    yield from _movements(talk, method, since, middle)
    yield from _movements(talk, method, middle, until)


def _movement_methods(talk: Conversation) -> tuple[str, ...]:
    """Return the methods that tell what came and went; where a venue has no list of each, the one of both."""
    names = {"fetch_deposits": "fetchDeposits", "fetch_withdrawals": "fetchWithdrawals", "fetch_ledger": "fetchLedger"}
    has = talk.exchange.has
    if all(has[names[method]] for method in talk.traits.movements):
        return talk.traits.movements
    return ("fetch_deposits_withdrawals",) if has["fetchDepositsWithdrawals"] else ()


def _windows(begin: datetime, end: datetime, most_days: int | None) -> Iterator[tuple[datetime, datetime]]:
    step = timedelta(days=most_days) if most_days else end - begin
    while begin < end:
        yield begin, min(begin + step, end)
        begin += step


def _markets(talk: Conversation, held: Mapping[str, Any], config: CcxtAccountConfig) -> list[str]:
    """Return the markets to ask for: those that are named, and those of all coins that are held, as far as the venue has them."""
    known = {symbol for symbol, market in talk.exchange.markets.items() if market.get("spot")}
    coins = [code for code, entry in held.items() if isinstance(entry, dict) and _is_something(entry)]
    return [*dict.fromkeys(m for m in (*config.markets, *(f"{c}/{q}" for c in coins for q in config.quotes)) if m in known)]


def _is_something(entry: Mapping[str, Any]) -> bool:
    return any(str(entry.get(name) or "0").strip("0.") for name in ("total", "free", "used"))


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def parse(payload: Payload, config: CcxtAccountConfig) -> Parsed:
    """Read the rows of one answer, for the user and account of the payload's context."""
    if not is_installed():
        raise NotConfiguredError(f"{_NAME} is not configured: {EXTRA} is not installed")
    venue = payload.context.get(VENUE, _DEFAULT_VENUE)
    method = payload.context.get(METHOD) or _METHODS.get(payload.context.get(ENDPOINT, ""), "fetch_balance")
    if method not in READING:  # what names mean, and what a key may do
        return Parsed(())
    account_id = payload.context.get("account_id", venue)
    owner = Owner(payload.context.get("user_id", "demo"), account_id, venue, traits(venue).numbers_all_trades, config.assets)
    found, refused = StoredAnswer(payload, venue, method, config.quotes).read()
    if method == "fetch_my_trades":
        parsed = owner.trades(found)
    elif method == "fetch_balance":
        held = frozenset(payload.context.get(HELD, "").split())
        parsed = owner.balances(found, payload.fetched_at.replace(microsecond=0), held)
    elif isinstance(found, list):
        parsed = owner.movements(found)
    else:
        raise PayloadChangedError(f"{_NAME}: {venue}, {method}: no list of rows")
    return Parsed(parsed.rows, [*parsed.rejected, *unread(refused)])


SOURCE = Source(
    name=_NAME,
    title="Accounts at other venues",
    tables=(FILL, BALANCE),
    endpoints=(
        Endpoint("fills", cron=_EVERY_5_MINUTES, every_s=300, fetch=fetch_fills, tables=(FILL,)),
        Endpoint("transfers", cron=_EVERY_5_MINUTES, every_s=300, fetch=fetch_transfers, tables=(FILL,)),
        Endpoint("balances", cron=_EVERY_5_MINUTES, every_s=300, fetch=fetch_balances, tables=(BALANCE,)),
    ),
    parse=parse,
    config=CcxtAccountConfig,
    homepage="https://docs.ccxt.com",
    per_account=True,
    venues=Venues(knows=knows, policy=policy_of),
    extra=EXTRA,
    may_be_silent=True,
)
