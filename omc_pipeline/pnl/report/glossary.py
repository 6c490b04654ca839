"""What each metric is called, how it looks, and what it means in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from omc_pipeline.pnl.report.display import UNKNOWN, days, money, percent, ratio


class Entry(NamedTuple):
    """A metric: the part of the figures it is a field of, and its words."""

    name: str
    part: str
    field: str
    show: Callable[[Any], str]
    meaning: str


def _signed(value: int | None) -> str:
    return money(value, signed=True)


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _day_count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,} day{'' if value == 1 else 's'}"


GROUPS = (
    (
        "Closed trades",
        (
            Entry("Closed trades", "trades", "closed_trades", _count, "Disposals that met a lot."),
            Entry("Win rate per trade", "trades", "win_rate_per_trade", percent, "Won by won and lost; a gain of zero is neither."),
            Entry("Profit factor per trade", "trades", "profit_factor_per_trade", ratio, "Sum of gains by sum of losses."),
            Entry("Average win", "trades", "average_win", _signed, "Mean gain of the trades won."),
            Entry("Average loss", "trades", "average_loss", _signed, "Mean loss of the trades lost."),
            Entry("Largest win", "trades", "largest_win", _signed, "Largest gain of one trade."),
            Entry("Largest loss", "trades", "largest_loss", _signed, "Largest loss of one trade."),
        ),
    ),
    (
        "Daily returns",
        (
            Entry("Total return", "returns", "total_return", percent, "Daily returns, compounded."),
            Entry("Yearly growth", "returns", "cagr", percent, "The same as a rate of 365 days."),
            Entry("Volatility", "returns", "volatility", percent, "Sample deviation of daily returns × √365."),
            Entry("Sharpe ratio", "returns", "sharpe", ratio, "Mean by deviation × √365; no riskless rate taken off."),
            Entry("Sortino ratio", "returns", "sortino", ratio, "Mean by downside deviation over all days × √365."),
            Entry("Max drawdown", "returns", "max_drawdown", percent, "Deepest fall below a high."),
            Entry("Longest drawdown", "returns", "max_drawdown_periods", _day_count, "From a high to the next, or to the end."),
            Entry("Calmar ratio", "returns", "calmar", ratio, "Yearly growth by max drawdown."),
            Entry("Win rate per day", "returns", "win_rate_per_day", percent, "Days won by days won and lost."),
            Entry("Profit factor per day", "returns", "profit_factor_per_day", ratio, "Sum of daily gains by sum of daily losses."),
        ),
    ),
    (
        "Activity",
        (
            Entry("Fills", "activity", "fills", _count, "Executions, buys and sells."),
            Entry("Volume", "activity", "volume", money, "Bought and sold, before fees."),
            Entry("Fees", "activity", "fees", money, "Those whose worth in the currency is known."),
            Entry("Turnover", "activity", "turnover", ratio, "The smaller of bought and sold by the mean value held."),
            Entry("Holding time", "activity", "holding_time_days", days, "Of units sold, weighted by cost."),
        ),
    ),
)
"""Groups of metrics in the order of the sheet."""
