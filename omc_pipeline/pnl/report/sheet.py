"""The tear sheet: a report as one HTML file that needs nothing else, for a desk, a phone and paper.

It holds no script and loads nothing: its content security policy allows inline styles alone. Every value passes the
template's escaping; the exact amount stands beside each rounded one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from omc_pipeline.pnl.amounts import UNIT, exact_units, text_of
from omc_pipeline.pnl.report import display
from omc_pipeline.pnl.report.charts import Chart, draw
from omc_pipeline.pnl.report.cuts import Standing, by_period, standings
from omc_pipeline.pnl.report.document import Report
from omc_pipeline.pnl.report.equity import Day, Month, months
from omc_pipeline.pnl.report.glossary import GROUPS
from omc_pipeline.pnl.report.periods import Window
from omc_pipeline.pnl.report.record import MatchRow

MOST_SALES = 2_000
MOST_OPEN_LOTS = 500
MOST_DAYS = 370
METHODS = {
    "fifo": "first in, first out",
    "lifo": "last in, first out",
    "hifo": "highest cost first",
    "lofo": "lowest cost first",
    "avg": "average cost",
    "uk": "UK share pooling",
    "ca": "Canadian average cost with superficial losses",
}


class Sale(NamedTuple):
    """One disposal and the lots behind its gain."""

    symbol: str
    sell: str
    at: datetime
    qty: int
    proceeds: int
    cost: int
    gain: int
    matches: Sequence[MatchRow]


class CoinSales(NamedTuple):
    """The disposals of one coin, newest first, and the sums of all of them."""

    symbol: str
    sales: int
    proceeds: int
    cost: int
    gain: int
    shown: Sequence[Sale]


class Year(NamedTuple):
    """Twelve months, None where nothing was followed, and their sums."""

    year: int
    months: Sequence[Month | None]
    profit: int
    change: float


def tear_sheet(found: Report) -> str:
    """Write a report as one HTML document."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("omc_pipeline.pnl.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters.update(
        money=display.money,
        quantity=display.quantity,
        price=display.price,
        percent=display.percent,
        days=display.days,
        exact=text_of,
        units=lambda text: exact_units(Decimal(text)),
        day=display.day,
        span=display.span,
        moment=lambda value: display.moment(value, found.question.zone),
    )
    return templates.get_template("sheet.html.j2").render(_context(found)) + "\n"


def _context(found: Report) -> dict[str, Any]:
    record, days = found.record, found.equity.days
    rows = standings(record, found.window)
    sales = sales_of(match for match in record.matches if match.is_sale and found.window.has(match.disposed_at))
    held = [lot for lot in record.open_lots if found.window.end is None]
    return {
        "record": record,
        "report": found,
        "document": found.document,
        "method": METHODS[record.method],
        "span_of_days": _span(days),
        "tiles": _tiles(rows, found.window),
        "returns": found.figures.returns,
        "equity": _equity_chart(days, record.currency) if days else None,
        "drawdown": _drawdown_chart(days) if days else None,
        "days": days[-MOST_DAYS:][::-1],
        "days_left_out": max(0, len(days) - MOST_DAYS),
        "years": years(months(days)),
        "hottest": max((abs(month.change) for month in months(days)), default=0) or 1,
        "coins": rows,
        "widest": max((abs(amount) for row in rows for amount in (row.within.realized, row.unrealized or 0)), default=0) or 1,
        "groups": _groups(found),
        "sales": by_coin_newest(sales),
        "sales_left_out": max(0, len(sales) - MOST_SALES),
        "open_lots": held[:MOST_OPEN_LOTS],
        "open_lots_left_out": max(0, len(held) - MOST_OPEN_LOTS),
        "marks": record.marks,
        "periods": by_period(record, found.window, found.question.period, found.question.zone),
        "period_kind": found.question.period,
        "tax": found.tax,
        "tax_document": found.document.get("tax"),
    }


def sales_of(matches: Iterable[MatchRow]) -> list[Sale]:
    """Group matches into disposals, in order of time."""
    groups: dict[tuple[str, str], list[MatchRow]] = {}
    for match in matches:
        groups.setdefault((match.symbol, match.sell), []).append(match)
    sales = [
        Sale(
            symbol=symbol,
            sell=sell,
            at=pieces[0].disposed_at,
            qty=sum(piece.qty for piece in pieces),
            proceeds=sum(piece.proceeds for piece in pieces),
            cost=sum(piece.cost for piece in pieces),
            gain=sum(piece.gain for piece in pieces),
            matches=pieces,
        )
        for (symbol, sell), pieces in groups.items()
    ]
    return sorted(sales, key=lambda sale: (sale.at, sale.symbol, sale.sell))


def by_coin_newest(sales: Sequence[Sale]) -> list[CoinSales]:
    """Group disposals by coin; of all, the newest ones are shown."""
    shown = {(sale.symbol, sale.sell) for sale in sales[-MOST_SALES:]}
    coins: dict[str, list[Sale]] = {}
    for sale in sales:
        coins.setdefault(sale.symbol, []).append(sale)
    return [
        CoinSales(
            symbol=symbol,
            sales=len(found),
            proceeds=sum(sale.proceeds for sale in found),
            cost=sum(sale.cost for sale in found),
            gain=sum(sale.gain for sale in found),
            shown=[sale for sale in reversed(found) if (sale.symbol, sale.sell) in shown],
        )
        for symbol, found in sorted(coins.items())
    ]


def years(found: Sequence[Month]) -> list[Year]:
    """Lay months out by calendar year, newest year first."""
    answer = []
    for number in sorted({month.year for month in found}, reverse=True):
        of_year = {month.month: month for month in found if month.year == number}
        growth = 1.0
        for month in of_year.values():
            growth *= 1 + month.change
        cells = [of_year.get(place) for place in range(1, 13)]
        answer.append(Year(number, cells, sum(month.profit for month in of_year.values()), growth - 1))
    return answer


def _tiles(rows: Sequence[Standing], window: Window) -> dict[str, Any]:
    """Return what stands on top: of a window with a start, what is unrealized is its change."""
    realized = sum(row.within.realized for row in rows)
    end, start, value = (_sum(getattr(row, name) for row in rows) for name in ("unrealized", "unrealized_before", "value"))
    change = None if end is None or start is None else end - start
    net = None if change is None else realized + change
    return {"net": net, "realized": realized, "unrealized": change, "value": value, "is_change": window.start is not None}


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else sum(number for number in known if number is not None)


def _equity_chart(days: Sequence[Day], currency: str) -> Chart:
    profits, realized = (
        [float(amount) / UNIT for amount in amounts] for amounts in zip(*((d.profit, d.realized) for d in days), strict=True)
    )
    texts = [
        f"{display.day(d.day)}: {display.money(d.profit, signed=True)} {currency}, of it realized {display.money(d.realized, signed=True)}"
        for d in days
    ]
    return draw([profits, realized], [d.day for d in days], display.short, texts)


def _drawdown_chart(days: Sequence[Day]) -> Chart:
    texts = [f"{display.day(d.day)}: {display.percent(d.drawdown)}" for d in days]
    return draw([[d.drawdown * 100 for d in days]], [d.day for d in days], lambda value: f"{display.short(value)} %", texts)


def _span(days: Sequence[Day]) -> str:
    return f"{display.day(days[0].day)} to {display.day(days[-1].day)}" if days else "no trades"


def _groups(found: Report) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Return the metrics by group: name, how it looks, what it means."""
    parts = {"trades": found.figures.trades, "returns": found.figures.returns, "activity": found.figures.activity}
    return [
        (title, [(entry.name, entry.show(getattr(parts[entry.part], entry.field)), entry.meaning) for entry in entries])
        for title, entries in GROUPS
    ]
