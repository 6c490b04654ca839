"""What a record was worth day by day: profit, daily return, drawdown; and the same by calendar month.

Profit up to an instant is proceeds + value − cost of all that was bought, whatever the method. A day's return is its profit on
the capital at work that day: the value at its start and what was bought on it. A day without capital returns nothing, and
one that profits without any has no return.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import NamedTuple

from omc_pipeline.pnl.metrics import drawdowns, growth_of, quotient
from omc_pipeline.pnl.report.cuts import Tally
from omc_pipeline.pnl.report.periods import Window, day_ends
from omc_pipeline.pnl.report.record import PricePoint, Record, price_before, value_of


class Day(NamedTuple):
    """One day of a zone; money in units, profits since the first day. ``change`` is None where there was no capital to return on."""

    day: date
    value: int
    realized: int
    profit: int
    change: float | None
    growth: float
    drawdown: float


class Month(NamedTuple):
    """Profit of a calendar month in units of money, and its compound return."""

    year: int
    month: int
    profit: int
    change: float


@dataclass(frozen=True, slots=True)
class Equity:
    """Days, oldest first, without a gap; ``at_cost`` names coins that were carried at cost on some day for want of a price."""

    days: Sequence[Day] = ()
    at_cost: Sequence[str] = ()

    @property
    def changes(self) -> list[float]:
        """Daily returns; days that have none are left out."""
        return [day.change for day in self.days if day.change is not None]


class _Close(NamedTuple):
    """The state at the end of a day."""

    end: datetime
    value: int
    realized: int
    bought: int
    profit: int


def equity(record: Record, window: Window, zone: tzinfo) -> Equity:
    """Follow a record from day to day; empty where nothing was traded by the end of the window."""
    first, last = record.first_at, record.last_at
    if first is None or last is None or (window.end is not None and window.end <= first):
        return Equity()
    start = first if window.start is None else max(first, window.start)
    if window.end is not None:
        last = min(last, window.end - timedelta(microseconds=1))
    if last < start:
        return Equity()
    ends = [end if window.end is None else min(end, window.end) for end in day_ends(start, last, zone)]
    at_cost: set[str] = set()
    marks = record.marks if window.end is None else {}
    opening, *closes = _closes(record, [start, *ends], marks, at_cost)
    return Equity(_days(opening, closes, zone), sorted(at_cost))


def months(days: Iterable[Day]) -> list[Month]:
    """Sum days up into calendar months, oldest first."""
    found: dict[tuple[int, int], tuple[int, float]] = {}
    before = 0
    for day in days:
        profit, growth = found.get((day.day.year, day.day.month), (0, 1.0))
        found[day.day.year, day.day.month] = (profit + day.profit - before, growth * (1 + (day.change or 0.0)))
        before = day.profit
    return [Month(*month, profit, growth - 1) for month, (profit, growth) in found.items()]


def _closes(record: Record, ends: Sequence[datetime], marks: Mapping[str, PricePoint], at_cost: set[str]) -> list[_Close]:
    """Return the state at each instant, which come in order; at the last one, marks win over the history of prices."""
    trades = sorted(record.trades, key=lambda trade: trade.time)
    matches = sorted(record.matches, key=lambda match: match.disposed_at)
    tallies: dict[str, Tally] = {}
    closes, trade_at, match_at = [], 0, 0
    for end in ends:
        while trade_at < len(trades) and trades[trade_at].time < end:
            tallies.setdefault(trades[trade_at].symbol, Tally()).add_trade(trades[trade_at])
            trade_at += 1
        while match_at < len(matches) and matches[match_at].disposed_at < end:
            tallies.setdefault(matches[match_at].symbol, Tally()).add_match(matches[match_at])
            match_at += 1
        value = sum(_value(record, symbol, tally, end, marks if end == ends[-1] else {}, at_cost) for symbol, tally in tallies.items())
        realized, bought = sum(tally.realized for tally in tallies.values()), sum(tally.bought for tally in tallies.values())
        profit = realized + value - sum(tally.open_cost for tally in tallies.values())
        closes.append(_Close(end, value, realized, bought, profit))
    return closes


def _value(record: Record, symbol: str, tally: Tally, end: datetime, marks: Mapping[str, PricePoint], at_cost: set[str]) -> int:
    value = value_of(tally.qty, marks.get(symbol) or price_before(record.prices.get(symbol, ()), end))
    if value is None:
        at_cost.add(symbol)
        return tally.open_cost
    return value


def _days(opening: _Close, closes: Sequence[_Close], zone: tzinfo) -> list[Day]:
    changes = []
    for before, close in zip((opening, *closes), closes, strict=False):
        profit, capital = close.profit - before.profit, before.value + close.bought - before.bought
        changes.append(quotient(profit, capital) if capital > 0 else None if profit else 0.0)
    growth = growth_of([change or 0.0 for change in changes])
    return [
        Day(
            day=(close.end - timedelta(microseconds=1)).astimezone(zone).date(),
            value=close.value,
            realized=close.realized - opening.realized,
            profit=close.profit - opening.profit,
            change=change,
            growth=grown,
            drawdown=depth,
        )
        for close, change, grown, depth in zip(closes, changes, growth, drawdowns(growth), strict=True)
    ]
