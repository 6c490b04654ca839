"""The figures of a window: metrics of its days and its closed trades, and what was moved, paid and held."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from omc_pipeline.pnl.amounts import text_of
from omc_pipeline.pnl.metrics import ReturnMetrics, TradeMetrics, quotient, return_metrics, trade_metrics
from omc_pipeline.pnl.report.equity import Equity
from omc_pipeline.pnl.report.periods import Window
from omc_pipeline.pnl.report.record import Record

_MONEY = frozenset({"average_win", "average_loss", "largest_win", "largest_loss", "volume", "fees"})
_DAY_US = timedelta(days=1) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Activity:
    """What moved in a window; money in units.

    ``volume`` counts buys and sells before fees, ``fees`` those known in the currency. ``turnover`` is the smaller of bought and sold
    by the mean daily value held; ``holding_time_days`` how long sold units were held, weighted by their cost.
    """

    fills: int
    volume: int
    fees: int
    turnover: float | None
    holding_time_days: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """All metrics of a window."""

    returns: ReturnMetrics
    trades: TradeMetrics
    activity: Activity


def figures(record: Record, window: Window, followed: Equity) -> Figures:
    """Measure a window; ``followed`` are its days."""
    gains: dict[tuple[str, str], int] = {}
    for match in record.matches:
        if match.is_sale and window.has(match.disposed_at):
            gains[match.symbol, match.sell] = gains.get((match.symbol, match.sell), 0) + match.gain
    return Figures(return_metrics(followed.changes), trade_metrics(list(gains.values())), _activity(record, window, followed))


def as_document(found: Figures) -> dict[str, Any]:
    """Write metrics as one flat object: money as decimal text, ratios as numbers, null where one is not defined."""
    flat = {**asdict(found.trades), **asdict(found.returns), **asdict(found.activity)}
    return {name: text_of(value) if name in _MONEY and value is not None else value for name, value in flat.items()}


def _activity(record: Record, window: Window, followed: Equity) -> Activity:
    fills = [fill for fill in record.fills if window.has(fill.at)]
    matches = [match for match in record.matches if match.is_sale and window.has(match.disposed_at)]
    bought = sum(trade.money for trade in record.trades if trade.side == "buy" and window.has(trade.time))
    turned = min(bought, sum(match.proceeds for match in matches))
    held = [(match.cost, match.disposed_at - match.acquired_at) for match in matches if match.acquired_at and match.cost > 0]
    held = [(cost, time) for cost, time in held if time >= timedelta()]
    weighted = sum(cost * (time // timedelta(microseconds=1)) for cost, time in held)
    return Activity(
        fills=len(fills),
        volume=sum(fill.amount for fill in fills),
        fees=sum(fill.fee for fill in fills),
        turnover=quotient(turned * len(followed.days), sum(day.value for day in followed.days)) if followed.days else None,
        holding_time_days=quotient(weighted, sum(cost for cost, _ in held) * _DAY_US),
    )
