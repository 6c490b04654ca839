"""Binance, transaction statement: one row a change of a balance; the rows of one trade share their second.

Executions of one market within a second can't be told apart and are one trade with their sums. What was got, given and paid as a fee
must be one coin each, or the rows become an exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from omc_pipeline.imports.building import exchanged, moved, together
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.amounts import total
from omc_pipeline.pnl.fill import FIAT, Fill
from omc_pipeline.pnl.kinds import Kind

_TRADES = frozenset(
    {
        "transaction buy",
        "transaction spend",
        "transaction sold",
        "transaction revenue",
        "transaction related",
        "buy",
        "sell",
        "large otc trading",
        "binance convert",
        "small assets exchange bnb",
        "token swap - redenomination/rebranding",
        "fiat otc trade",
        "buy crypto",
    }
)
_FEES = frozenset({"fee", "transaction fee"})
_INCOME: dict[str, Kind] = {
    "staking rewards": "staking",
    "eth 2.0 staking rewards": "staking",
    "simple earn flexible interest": "interest",
    "pos savings interest": "interest",
    "simple earn locked rewards": "staking",
    "savings interest": "interest",
    "distribution": "airdrop",
    "airdrop assets": "airdrop",
    "launchpool interest": "staking",
    "bnb vault rewards": "staking",
    "cashback voucher": "airdrop",
    "referral kickback": "airdrop",
    "commission rebate": "airdrop",
    "commission history": "airdrop",
    "referral commission": "airdrop",
    "launchpool airdrop": "airdrop",
    "simple earn flexible airdrop": "airdrop",
}
_WITHIN = frozenset(
    {
        "staking purchase",
        "staking redemption",
        "simple earn flexible subscription",
        "simple earn flexible redemption",
        "savings purchase",
        "simple earn locked subscription",
        "simple earn locked redemption",
        "savings principal redemption",
        "pos savings purchase",
        "pos savings redemption",
        "transfer between main account/futures and margin account",
        "transfer between spot account and um futures account",
        "main and funding account transfer",
        "transfer between main and funding wallet",
        "launchpool subscription/redemption",
    }
)


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    held: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        operation = row.word("operation")
        is_trade = operation in _TRADES or operation in _FEES
        key = (row.text("time"), row.text("account")) if is_trade else (str(row.number),)
        held.setdefault(key, []).append(row)
    return together(held.values(), notes, lambda group: _event(group, notes))


def _event(group: list[Row], notes: Notes) -> Iterator[Fill]:
    row, operation = group[0], group[0].word("operation")
    if operation in _TRADES or operation in _FEES:
        yield from _trade(group)
        return
    coin, change, time = row.coin("coin"), row.amount("change"), row.time("time")
    if operation in _WITHIN:
        notes.skip(f"{operation}: within the venue")
    elif operation in ("deposit", "withdraw", "withdrawal", "fiat deposit", "fiat withdraw"):
        if coin in FIAT:
            notes.skip("deposit or withdrawal of money")
            return
        yield moved(row, "", time, "deposit" if change > 0 else "withdrawal", coin, abs(change))
    elif operation in _INCOME and change > 0:
        yield moved(row, "", time, _INCOME[operation], coin, change)
    else:
        raise UnclearRowError(f"operation {row.text('operation')!r} of {change:f} {coin} is not known, so it may bear on money")


def _trade(group: list[Row]) -> Iterator[Fill]:
    sums: dict[str, Decimal] = {}
    fees: dict[str, Decimal] = {}
    for row in group:
        of = fees if row.word("operation") in _FEES else sums
        coin = row.coin("coin")
        of[coin] = total(of.get(coin, row.zero), row.amount("change"))
    came = [(qty, coin) for coin, qty in sums.items() if qty > 0]
    went = [(-qty, coin) for coin, qty in sums.items() if qty < 0]
    if len(came) != 1 or len(went) != 1:
        raise UnclearRowError(
            f"at one second {_list(came) or 'nothing'} came and {_list(went) or 'nothing'} went; which belongs to which can't be told"
        )
    paid = [(coin, -qty) for coin, qty in fees.items() if qty]
    first, *more = paid or [("", group[0].zero)]
    time = group[0].time("time")
    yield exchanged(group[0], "", time, came[0], went[0], first[1], first[0])
    for coin, qty in more:
        yield moved(group[0], f"#{group[0].number}:{coin}", time, "fee", coin, qty)


def _list(sides: list[tuple[Decimal, str]]) -> str:
    return ", ".join(coin for _, coin in sides)


FORMAT = Format(
    name="binance_statement",
    venue="binance",
    title="Binance transaction statement",
    link="https://www.binance.com/en/support/faq/990afa0a0a9341f78e7a9298a9575163",
    columns={
        "time": ("UTC_Time", "Time"),
        "account": "Account",
        "operation": "Operation",
        "coin": "Coin",
        "change": "Change",
    },
    irrelevant=("User_ID", "User ID", "Remark"),
    zone="UTC",
    read=_read,
)
