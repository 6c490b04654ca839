"""The cuts of a record: by coin, by period, by algorithm, by match. Each is a sum over the same matches, so all add up alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from omc_pipeline.pnl.amounts import text_of
from omc_pipeline.pnl.report.periods import Period, PeriodKind, Window, period_of
from omc_pipeline.pnl.report.record import MatchRow, PricePoint, Record, price_before, value_of
from omc_pipeline.pnl.trade import Trade

Cells = dict[str, Any]
"""One row by column; amounts are decimal text, unrounded."""


@dataclass(slots=True)
class Tally:
    """Sums over some trades and matches, in units."""

    fills: int = 0
    bought_qty: int = 0
    bought: int = 0
    expensed_fees: int = 0
    matched_qty: int = 0
    proceeds: int = 0
    cost: int = 0
    sells: set[tuple[str, str]] = field(default_factory=set)

    def add_trade(self, trade: Trade) -> None:
        """Count a trade; the money of a sell is counted by its matches."""
        self.fills += 1
        self.expensed_fees += trade.fee
        if trade.side == "buy":
            self.bought_qty += trade.qty
            self.bought += trade.money

    def add_match(self, match: MatchRow) -> None:
        """Count a match."""
        self.matched_qty += match.held_qty
        self.proceeds += match.proceeds
        self.cost += match.cost
        if match.is_sale:
            self.sells.add((match.symbol, match.sell))

    @property
    def gain(self) -> int:
        """Proceeds less cost of what was matched."""
        return self.proceeds - self.cost

    @property
    def realized(self) -> int:
        """Gains less expensed fees."""
        return self.gain - self.expensed_fees

    @property
    def qty(self) -> int:
        """Units that came in and did not leave."""
        return self.bought_qty - self.matched_qty

    @property
    def open_cost(self) -> int:
        """Cost of what came in and did not leave."""
        return self.bought - self.cost


@dataclass(frozen=True, slots=True)
class Standing:
    """One coin over a window: what happened before it and up to its end, and what was held then, valued where it can be."""

    symbol: str
    before: Tally
    within: Tally
    through: Tally
    held_qty: int
    held_cost: int
    point: PricePoint | None
    value: int | None
    value_before: int | None

    @property
    def unrealized(self) -> int | None:
        """Value less cost of what is held at the end, or None where that has no price."""
        return None if self.value is None else self.value - self.held_cost

    @property
    def unrealized_before(self) -> int | None:
        """The same at the start."""
        return None if self.value_before is None else self.value_before - self.before.open_cost


def standings(record: Record, window: Window) -> list[Standing]:
    """Return every coin that was traded or held in a window.

    With an open end, what is held are the open lots, worth their current mark; at any other instant it is what had come in and
    not left, worth the last price before it.
    """
    before, within, through = ({symbol: Tally() for symbol in record.symbols} for _ in range(3))
    for trade in record.trades:
        for tallies in _counted(window, trade.time, before, within, through):
            tallies[trade.symbol].add_trade(trade)
    for match in record.matches:
        for tallies in _counted(window, match.disposed_at, before, within, through):
            tallies[match.symbol].add_match(match)
    found = [_standing(record, window, symbol, (before[symbol], within[symbol], through[symbol])) for symbol in record.symbols]
    return [row for row in found if row.within.fills or row.within.sells or row.held_qty or row.before.qty]


def _standing(record: Record, window: Window, symbol: str, tallies: tuple[Tally, Tally, Tally]) -> Standing:
    before, _, through = tallies
    points = record.prices.get(symbol, ())
    if window.end is None:
        lots = [lot for lot in record.open_lots if lot.symbol == symbol]
        qty, cost, point = sum(lot.qty for lot in lots), sum(lot.cost for lot in lots), record.marks.get(symbol)
    else:
        qty, cost, point = through.qty, through.open_cost, price_before(points, window.end)
    started = None if window.start is None else price_before(points, window.start)
    return Standing(symbol, *tallies, qty, cost, point if qty else None, value_of(qty, point), value_of(before.qty, started))


_Tallies = dict[str, Tally]


def _counted(window: Window, at: datetime, before: _Tallies, within: _Tallies, through: _Tallies) -> tuple[_Tallies, ...]:
    if window.is_after(at):
        return before, through
    return (within, through) if window.has(at) else ()


def by_coin(record: Record, rows: Iterable[Standing]) -> list[Cells]:
    """Return one row a coin: what is held at the end and what the window brought."""
    return [
        {
            "symbol": row.symbol,
            "currency": record.currency,
            "qty": text_of(row.held_qty),
            "open_cost": text_of(row.held_cost),
            "price": None if row.point is None else text_of(row.point.price),
            "price_source": None if row.point is None else row.point.source,
            "price_observed_at": None if row.point is None else row.point.at.isoformat(),
            "value": _text(row.value),
            "realized": text_of(row.within.realized),
            "unrealized": _text(row.unrealized),
            "proceeds": text_of(row.within.proceeds),
            "cost": text_of(row.within.bought + row.within.expensed_fees),
        }
        for row in rows
    ]


def totals(rows: Iterable[Standing], window: Window) -> Cells:
    """Add up a window, and check the identity of profit and loss to the last digit.

    ``identity_holds``: realized + change of unrealized = proceeds + change of value − cost; of a coin without a price the same
    without what is held of it.
    """
    found = list(rows)
    tally = {name: sum(getattr(row.within, name) for row in found) for name in ("realized", "proceeds", "bought", "expensed_fees")}
    cost = tally["bought"] + tally["expensed_fees"]
    unrealized, value = _sum(row.unrealized for row in found), _sum(row.value for row in found)
    earlier, value_earlier = _sum(row.unrealized_before for row in found), _sum(row.value_before for row in found)
    net = None if unrealized is None or earlier is None else tally["realized"] + unrealized - earlier
    answer = {
        "realized": text_of(tally["realized"]),
        "unrealized": _text(unrealized),
        "net": _text(net),
        "proceeds": text_of(tally["proceeds"]),
        "value": _text(value),
        "cost": text_of(cost),
        "expensed_fees": text_of(tally["expensed_fees"]),
        "identity_holds": all(identity_holds(row) for row in found),
    }
    return answer if window.start is None else {**answer, "unrealized_before": _text(earlier), "value_before": _text(value_earlier)}


def identity_holds(row: Standing) -> bool:
    """Return whether matches and open lots say what the trades say; neither is derived from the other."""
    within, cost = row.within, row.within.bought + row.within.expensed_fees
    if row.held_qty != row.through.qty:
        return False
    if row.unrealized is None or row.unrealized_before is None or row.value is None or row.value_before is None:
        return within.realized == within.proceeds - cost + (row.held_cost - row.before.open_cost)
    change, gained = row.value - row.value_before, row.unrealized - row.unrealized_before
    return within.realized + gained == within.proceeds + change - cost


def by_period(record: Record, window: Window, kind: PeriodKind, zone: tzinfo) -> list[Cells]:
    """Return one row a period in which anything was traded, oldest first."""
    tallies: dict[Period, Tally] = {}
    for trade in record.trades:
        if window.has(trade.time):
            tallies.setdefault(period_of(trade.time, kind, zone), Tally()).add_trade(trade)
    for match in record.matches:
        if window.has(match.disposed_at):
            tallies.setdefault(period_of(match.disposed_at, kind, zone), Tally()).add_match(match)
    return [
        {
            "period": period.label,
            "from": period.start.isoformat(),
            "to": period.end.isoformat(),
            **_traded(tally, record.currency),
        }
        for period, tally in sorted(tallies.items())
    ]


def _traded(tally: Tally, currency: str) -> Cells:
    return {
        "currency": currency,
        "fills": tally.fills,
        "sells": len(tally.sells),
        "bought": text_of(tally.bought),
        "proceeds": text_of(tally.proceeds),
        "cost": text_of(tally.cost),
        "gain": text_of(tally.gain),
        "expensed_fees": text_of(tally.expensed_fees),
        "realized": text_of(tally.realized),
    }


def by_account(record: Record, window: Window) -> list[Cells]:
    """Return one row for each account that sold; lots it took may have been bought in another, where lots are universal."""
    tallies: dict[str, Tally] = {}
    for trade in record.trades:
        if window.has(trade.time):
            tallies.setdefault(trade.account, Tally()).add_trade(trade)
    for match in record.matches:
        if window.has(match.disposed_at):
            tallies.setdefault(match.account, Tally()).add_match(match)
    return [{"account": account, **_traded(tally, record.currency)} for account, tally in sorted(tallies.items())]


def by_algorithm(record: Record, window: Window) -> list[Cells]:
    """Return one row for each pair of who bought and who sold; None is a trade that no algorithm decided on."""
    tallies: dict[tuple[str, str], Tally] = {}
    for match in record.matches:
        if window.has(match.disposed_at):
            tallies.setdefault((match.bought_by or "", match.sold_by or ""), Tally()).add_match(match)
    return [
        {
            "bought_by": bought_by or None,
            "sold_by": sold_by or None,
            "currency": record.currency,
            "sells": len(tally.sells),
            "proceeds": text_of(tally.proceeds),
            "cost": text_of(tally.cost),
            "gain": text_of(tally.gain),
        }
        for (bought_by, sold_by), tally in sorted(tallies.items())
    ]


def by_match(record: Record, window: Window) -> list[Cells]:
    """Return one row a match, in order of disposal: the lots behind every gain."""
    return [match_cells(match, record.currency) for match in record.matches if window.has(match.disposed_at)]


def match_cells(match: MatchRow, currency: str) -> Cells:
    """Write one match."""
    amounts: Mapping[str, int] = {"qty": match.qty, "cost": match.cost, "proceeds": match.proceeds, "gain": match.gain}
    return {
        "symbol": match.symbol,
        "currency": currency,
        "disposed_at": match.disposed_at.isoformat(),
        "sell": match.sell,
        "acquired_at": None if match.acquired_at is None else match.acquired_at.isoformat(),
        "lot": match.lot,
        **{name: text_of(units) for name, units in amounts.items()},
        "rule": match.rule,
    }


def _text(units: int | None) -> str | None:
    return None if units is None else text_of(units)


def _sum(numbers: Iterable[int | None]) -> int | None:
    """Add, or answer None where one is not known."""
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total
