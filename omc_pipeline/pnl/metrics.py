"""Ratios of a record: of its daily returns, of its closed trades, of its activity; None where one is not defined.

Ratios are float64; money stays in 1e-18 units. Conventions, on which published tools differ: 365 periods a year (coins trade
every day), the sample standard deviation, Sortino over all periods and not the losing ones alone, a period or trade of exactly
zero is neither won nor lost. quantstats 0.0.86 and empyrical-reloaded 0.7.1 give the same numbers to about 1e-15; where those
answer 0, inf or NaN for want of a divisor, this answers None.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from omc_pipeline.pnl.amounts import rounded_quotient

PERIODS_PER_YEAR = 365


@dataclass(frozen=True, slots=True)
class ReturnMetrics:
    """Of the returns of equal periods, here days; ``max_drawdown`` is 0 or negative, its length is in periods."""

    periods: int
    total_return: float | None
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    max_drawdown: float | None
    max_drawdown_periods: int | None
    calmar: float | None
    win_rate_per_day: float | None
    profit_factor_per_day: float | None


@dataclass(frozen=True, slots=True)
class TradeMetrics:
    """Of closed trades; money in 1e-18 units. ``average_loss`` and ``largest_loss`` are negative."""

    closed_trades: int
    wins: int
    losses: int
    win_rate_per_trade: float | None
    profit_factor_per_trade: float | None
    average_win: int | None
    average_loss: int | None
    largest_win: int | None
    largest_loss: int | None


def return_metrics(returns: Sequence[float], *, risk_free_per_year: float = 0.0, periods_per_year: int = PERIODS_PER_YEAR) -> ReturnMetrics:
    """Measure a series of simple returns, oldest first.

    Args:
        returns: 0.01 is one per cent; finite.
        risk_free_per_year: Taken off each return in the Sharpe and Sortino ratios, as its equal compound share of a year.
        periods_per_year: How many returns make a year.
    """
    growth = [value for value in growth_of(returns) if math.isfinite(value)]
    if len(growth) < len(returns):  # beyond what a float holds; nothing compounded can be said
        growth = []
    drawdown, length = max_drawdown(growth)
    total = growth[-1] - 1 if growth else None
    cagr = _cagr(growth, periods_per_year)
    excess = [value - ((1 + risk_free_per_year) ** (1 / periods_per_year) - 1) for value in returns] if risk_free_per_year else returns
    deviation = _sample_deviation(returns)
    gains, losses = [value for value in returns if value > 0], [value for value in returns if value < 0]
    return ReturnMetrics(
        periods=len(returns),
        total_return=total,
        cagr=cagr,
        volatility=None if deviation is None else deviation * math.sqrt(periods_per_year),
        sharpe=_ratio(_mean(excess), deviation, math.sqrt(periods_per_year)),
        sortino=_ratio(_mean(excess), _downside_deviation(excess), math.sqrt(periods_per_year)) if len(returns) > 1 else None,
        max_drawdown=drawdown,
        max_drawdown_periods=length,
        calmar=_ratio(cagr, None if drawdown is None else -drawdown),
        win_rate_per_day=_ratio(float(len(gains)), float(len(gains) + len(losses))),
        profit_factor_per_day=_ratio(math.fsum(gains), -math.fsum(losses)),
    )


def trade_metrics(gains: Sequence[int]) -> TradeMetrics:
    """Measure the gains of closed trades, one of each disposal, in units of money."""
    wins, losses = [gain for gain in gains if gain > 0], [gain for gain in gains if gain < 0]
    return TradeMetrics(
        closed_trades=len(gains),
        wins=len(wins),
        losses=len(losses),
        win_rate_per_trade=quotient(len(wins), len(wins) + len(losses)),
        profit_factor_per_trade=quotient(sum(wins), -sum(losses)),
        average_win=rounded_quotient(sum(wins), len(wins)) if wins else None,
        average_loss=rounded_quotient(sum(losses), len(losses)) if losses else None,
        largest_win=max(wins, default=None),
        largest_loss=min(losses, default=None),
    )


def quotient(numerator: int, denominator: int) -> float | None:
    """Divide whole numbers of any size, or answer None where nothing divides or the quotient is no float."""
    try:
        return numerator / denominator
    except (ZeroDivisionError, OverflowError):
        return None


def growth_of(returns: Sequence[float]) -> list[float]:
    """Return what one unit has become after each return."""
    values, value = [], 1.0
    for change in returns:
        value *= 1 + change
        values.append(value)
    return values


def drawdowns(growth: Sequence[float]) -> list[float]:
    """Return how far below its highest value so far each value lies; the start of 1 counts as a value."""
    highest, depths = 1.0, []
    for value in growth:
        highest = max(highest, value)
        depths.append(value / highest - 1)
    return depths


def max_drawdown(growth: Sequence[float]) -> tuple[float | None, int | None]:
    """Return the deepest drawdown and the periods of the longest one, from the last high to the new one or to the end."""
    depths = drawdowns(growth)
    longest = under = 0
    for depth in depths:
        under = under + 1 if depth < 0 else 0
        longest = max(longest, under)
    return (min(*depths, 0.0), longest) if depths else (None, None)


def _cagr(growth: Sequence[float], periods_per_year: int) -> float | None:
    if not growth or growth[-1] <= 0:
        return None
    try:
        return float(growth[-1] ** (periods_per_year / len(growth))) - 1
    except OverflowError:
        return None


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _sample_deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation; of fewer than two values there is none, of equal ones it is exactly 0."""
    mean = _mean(values)
    if mean is None or len(values) < 2:
        return None
    if min(values) == max(values):
        return 0.0
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _downside_deviation(values: Sequence[float]) -> float | None:
    return math.sqrt(math.fsum(min(value, 0.0) ** 2 for value in values) / len(values)) if values else None


def _ratio(numerator: float | None, denominator: float | None, factor: float = 1.0) -> float | None:
    """Divide, or answer None where a part is not known, the divisor is 0, or the quotient is not finite."""
    if numerator is None or not denominator:
        return None
    value = numerator / denominator * factor
    return value if math.isfinite(value) else None
