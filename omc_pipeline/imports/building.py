"""Rows into fills: what the formats share once a row's cells are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from omc_infra.clock import utc_now
from omc_pipeline.imports.money import Side, shown
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.fill import FIAT, Fill
from omc_pipeline.pnl.kinds import Kind
from omc_pipeline.pnl.statuses import is_done

STABLE = frozenset({"USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI", "PYUSD", "USDP", "EURT", "EURC"})
"""Coins that stand for money: of two coins that are exchanged, the one that prices the other."""
_QUOTES = sorted([*FIAT, *STABLE, "BTC", "XBT", "ETH", "BNB", "TRX"], key=len, reverse=True)
_SEPARATED = re.compile(r"([A-Za-z0-9][A-Za-z0-9.*$]{0,29})[/_-]([A-Za-z0-9][A-Za-z0-9.*$]{0,29})")
_ALONE = re.compile(r"[A-Z0-9][A-Z0-9.*$]{0,29}")
_ZERO = Decimal(0)
_MOST_AHEAD = timedelta(days=1)
"""A zone that was given wrongly puts a row at most so far ahead; more is a mistake of its date."""
_SIDES: dict[str, Side] = {"BUY": "buy", "SELL": "sell", "Buy": "buy", "Sell": "sell", "buy": "buy", "sell": "sell"}


def each(rows: Iterable[Row], notes: Notes, fills_of: Callable[[Row], Iterable[Fill]]) -> Iterator[Fill]:
    """Turn each row by itself into fills; a row that is unclear becomes an exception, and is not counted."""
    for row in rows:
        try:
            if row.has("status") and not _happened(row, notes):
                continue
            yield from _sound(list(fills_of(row)), notes)
        except UnclearRowError as error:
            notes.doubt("unclear_row", "", row.place, f"is not counted: {error}")


def together(groups: Iterable[list[Row]], notes: Notes, fills_of: Callable[[list[Row]], Iterable[Fill]]) -> Iterator[Fill]:
    """Turn rows that tell one event together into fills."""
    for group in groups:
        try:
            if group[0].has("status") and not _all_happened(group, notes):
                continue
            yield from _sound(list(fills_of(group)), notes)
        except UnclearRowError as error:
            place = group[0].place if len(group) == 1 else f"{group[0].place} to {group[-1].place}"
            notes.doubt("unclear_row", "", place, f"is not counted: {error}")


def _all_happened(group: list[Row], notes: Notes) -> bool:
    said = {_happened(row, notes) for row in group}
    if len(said) > 1:
        raise UnclearRowError("some of its rows happened and some did not, by their status")
    return said == {True}


def _happened(row: Row, notes: Notes) -> bool:
    """Say whether a row's status is that of something that happened; one that did not is noted.

    Raises:
        UnclearRowError: Nobody knows the word.
    """
    word = row.word("status")
    known = is_done(word)
    if known is None:
        raise UnclearRowError(f"whether something of status {row.text('status')!r} happened is not known")
    if not known:
        notes.skip(f"status {word}")
    return known


def _sound(fills: list[Fill], notes: Notes) -> list[Fill]:
    """Return the fills of one event if each of them is possible; a negative fee is noted.

    Raises:
        UnclearRowError: One has a negative quantity, price or value, trades nothing, or lies in the future.
    """
    latest = utc_now() + _MOST_AHEAD
    for fill in fills:
        if fill.kind == "trade" and fill.qty == 0:
            raise UnclearRowError("it trades a quantity of 0")
        if fill.time > latest:
            raise UnclearRowError(f"its time {fill.time:%Y-%m-%d %H:%M} lies in the future")
        for what, value in (("quantity", fill.qty), ("price", fill.price), ("value", fill.amount)):
            if value is not None and value < 0:
                raise UnclearRowError(f"its {what} is {value:f}; whether it came or went, its other columns say")
        if fill.kind == "trade" and (fill.symbol == fill.currency or (fill.symbol in FIAT and fill.currency not in FIAT | STABLE)):
            raise UnclearRowError(f"it trades {fill.symbol} for {fill.currency}; are the two the other way round?")
        if fill.fee is not None and fill.fee < 0:
            notes.assume("a negative fee is a rebate: it was paid to the account")
        elif fill.kind == "trade" and fill.fee and fill.amount and fill.fee_currency == fill.currency and fill.fee * 2 > fill.amount:
            notes.doubt(
                "two_readings", fill.symbol, f"row {fill.sequence}",
                f"its fee of {shown(fill.fee)} {fill.currency} is more than half of its value of {shown(fill.amount)}; it counts",
            )  # fmt: skip
    return fills


def paired(row: Row, amount: str, coin: str, notes: Notes) -> tuple[Decimal, str]:
    """Return an amount and its coin from two columns; zero and no coin where both are empty.

    Raises:
        BadInputError: An amount without a coin.
        UnclearRowError: A coin without an amount, unless it is that of a fee, which is taken for none.
    """
    value, named = row.number_or_none(amount), row.coin_or_none(coin)
    if value and not named:
        raise row.refusal(coin, f"is empty beside {value:f}")
    if value is None and named:
        if amount != "fee":
            raise UnclearRowError(f"column {row.title(coin)!r} says {named}, and {row.title(amount)!r} is empty")
        notes.assume("a currency of a fee without an amount means no fee")
    return value or _ZERO, named


def amount_of_side(row: Row, name: str, side: Side) -> Decimal:
    """Return a quantity without its sign, which may be negative where coins left.

    Raises:
        UnclearRowError: Coins came, and it is negative.
    """
    amount = row.amount(name)
    if side == "buy" and amount < 0:
        raise UnclearRowError(f"it is a purchase or an arrival, and its quantity is {amount:f}")
    return abs(amount)


def traded(
    row: Row, identity: str, time: datetime, side: Side, market: tuple[str, str], qty: Decimal, price: Decimal | None, amount: Decimal,
    fee: Decimal | None, fee_currency: str, *, account: str = "",
) -> Fill:  # fmt: skip
    """Return a trade: ``amount`` is its value before the fee, ``qty`` what was traded before a fee in the coin.

    Raises:
        UnclearRowError: The quantity is not above zero.
    """
    if qty <= 0:
        raise UnclearRowError(f"its quantity is {qty:f}")
    if fee is not None and not fee:
        fee_currency = market[1]
    return Fill(
        identity or f"#{row.number}",
        account,
        *market,
        side,
        qty,
        price,
        amount,
        fee,
        fee_currency or market[1],
        time,
        "trade",
        None,
        None,
        "",
        1,
        row.number,
    )


def moved(
    row: Row, identity: str, time: datetime, kind: Kind, coin: str, qty: Decimal, *, fee: Decimal = _ZERO, fee_currency: str = "",
    side: Side | None = None, hash_: str | None = None, account: str = "", amount: Decimal | None = None, currency: str = "",
) -> Fill:  # fmt: skip
    """Return a movement or an income: coins that came or went without a trade.

    Raises:
        UnclearRowError: The quantity is not above zero.
    """
    if qty <= 0:
        raise UnclearRowError(f"its quantity is {qty:f}")
    direction: Side = side or ("sell" if kind in ("withdrawal", "fee", "gift", "donate", "lost", "stolen") else "buy")
    return Fill(
        identity or f"#{row.number}",
        account,
        coin,
        currency or coin,
        direction,
        qty,
        None,
        amount,
        fee,
        fee_currency or coin,
        time,
        kind,
        hash_,
        None,
        "",
        1,
        row.number,
    )


def exchanged(
    row: Row, identity: str, time: datetime, got: tuple[Decimal, str], gave: tuple[Decimal, str], fee: Decimal, fee_coin: str,
    *, account: str = "",
) -> Fill:  # fmt: skip
    """Return a trade from what was got and what was given, both before the fee; money prices the coin."""
    (got_qty, got_coin), (gave_qty, gave_coin) = got, gave
    if got_coin == gave_coin:
        raise UnclearRowError(f"{got_coin} is exchanged for {got_coin}")
    if _rank(got_coin) > _rank(gave_coin):
        return traded(row, identity, time, "sell", (gave_coin, got_coin), gave_qty, None, got_qty, fee, fee_coin, account=account)
    return traded(row, identity, time, "buy", (got_coin, gave_coin), got_qty, None, gave_qty, fee, fee_coin, account=account)


def _rank(coin: str) -> int:
    return 2 if coin in FIAT else 1 if coin in STABLE else 0


def market(row: Row, name: str) -> tuple[str, str]:
    """Return base and quote of a market as it is written, ``BTC/AUD`` or ``BTCAUD``, not yet by their canonical names."""
    written = row.required(name).upper().partition(":")[0]
    found = _SEPARATED.fullmatch(written)
    if found:
        return found[1], found[2]
    for quote in _QUOTES:
        if written.endswith(quote) and _ALONE.fullmatch(written[: -len(quote)]):
            return written[: -len(quote)], quote
    raise row.refusal(name, f"{written[:40]!r} is no market, such as BTC/AUD")


def side_of(row: Row, name: str) -> Side:
    """Return buy or sell."""
    known = _SIDES.get(row.text(name))
    if known is not None:
        return known
    word = row.word(name)
    if word in ("buy", "b"):
        return "buy"
    if word in ("sell", "s"):
        return "sell"
    raise row.refusal(name, f"{word[:40]!r} is neither buy nor sell")
