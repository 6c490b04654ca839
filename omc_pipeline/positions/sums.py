"""What a position, a checkpoint and a day have in common: sums over trades and matches, in units; they add and subtract."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from omc_pipeline.pnl.amounts import exact_units
from omc_pipeline.pnl.trade import Piece, Trade


class Sums(NamedTuple):
    """``cost`` is that of what was matched, ``bought`` of everything acquired; transfers between own accounts are in neither."""

    trades: int = 0
    bought_qty: int = 0
    bought: int = 0
    sold_qty: int = 0
    matched_qty: int = 0
    unmatched_qty: int = 0
    proceeds: int = 0
    cost: int = 0
    fees: int = 0
    income: int = 0

    def plus(self, other: Sequence[int]) -> Sums:
        """Add sums."""
        return Sums(*(mine + yours for mine, yours in zip(self, other, strict=True)))

    def minus(self, other: Sequence[int]) -> Sums:
        """Subtract sums."""
        return Sums(*(mine - yours for mine, yours in zip(self, other, strict=True)))

    @property
    def qty(self) -> int:
        """Units held."""
        return self.bought_qty - self.matched_qty

    @property
    def open_cost(self) -> int:
        """Cost of the units held."""
        return self.bought - self.cost


SUM_COLUMNS = ", ".join(Sums._fields)
_TRADES, _BOUGHT_QTY, _BOUGHT, _SOLD, _MATCHED, _UNMATCHED, _PROCEEDS, _COST, _FEES, _INCOME = range(len(Sums._fields))


def sums_of(row: Sequence[Any]) -> Sums:
    """Read the columns ``SUM_COLUMNS`` of a row."""
    return Sums(row[0], *(exact_units(Decimal(number)) for number in row[1:]))


def daily_sums(trades: Iterable[Trade], pieces: Iterable[Piece], unmatched: Iterable[tuple[Trade, int]]) -> dict[date, Sums]:
    """Add up trades and what became of them, by UTC day.

    Args:
        trades: Of one position.
        pieces: The matches of their sells.
        unmatched: Sells, each with the units of it that no lot covered.
    """
    days: defaultdict[date, list[int]] = defaultdict(lambda: [0] * len(Sums._fields))
    for trade in trades:
        day = days[trade.time.date()]
        day[_TRADES] += 1
        day[_FEES] += trade.fee
        day[_INCOME] += trade.income
        if trade.side == "buy":
            day[_BOUGHT_QTY] += trade.qty
            day[_BOUGHT] += trade.money
        elif trade.kind != "transfer":
            day[_SOLD] += trade.qty
    for sell, missing in unmatched:
        day = days[sell.time.date()]
        day[_UNMATCHED] += missing
        if sell.kind == "transfer":
            day[_SOLD] += missing
    for _, lot, qty, cost, proceeds, _, disposed_at, rule in pieces:
        if rule == "transfer":
            continue
        day = days[disposed_at.date()]
        day[_PROCEEDS] += proceeds
        if lot is not None:
            day[_MATCHED] += qty
            day[_COST] += cost
    return {day: Sums(*sums) for day, sums in days.items()}
