"""Where a market stands: technical indicators of its closed days, and how unusual its last day was. Pure.

Indicators are TA-Lib's. All use the days up to the last one without a gap; a gap ends how far back they look.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from omc_agents.claims.evidence import json_value
from omc_agents.tools.market import DailyCandle, candles_sha256, days_of, hundredths
from omc_pipeline.ledgers.read import Record

LEAST_DAYS = 15
"""Days without a gap, at least: fourteen changes, as many as the RSI takes."""
MEASURES = ("rsi_14", "sma_20_pct", "sma_50_pct", "volatility_30_pct", "return_pct", "return_z", "volume_ratio")
_LOOKBACK = 30
_YEAR_DAYS = 365
"""Crypto markets trade every day."""
_MAD_TO_DEVIATION = 1.4826
"""Median absolute deviation of a normal distribution to its standard deviation."""
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Indicators:
    """Indicators of a market at the close of a day.

    Attributes:
        day: The last closed day.
        days: Days without a gap up to it.
        close: Its close, in the market's currency.
        rsi_14: Relative strength index of 14 days (Wilder), 0 to 100.
        sma_20_pct, sma_50_pct: Close against the mean close of 20 and 50 days, in percent; None with fewer days.
        volatility_30_pct: Standard deviation of 30 daily log returns, in percent a year; None with fewer.
        return_pct: Change of the last day, in percent.
        return_z: How many robust deviations that change lies from the median of the 30 days before; None with fewer days, or where
            they did not move.
        volume_ratio: Volume of the last day by the median of the 30 days before; None with fewer days, or without volume.
    """

    day: date
    days: int
    close: float
    rsi_14: float
    sma_20_pct: float | None
    sma_50_pct: float | None
    volatility_30_pct: float | None
    return_pct: float
    return_z: float | None
    volume_ratio: float | None


def indicators(days: Mapping[date, DailyCandle]) -> Indicators | None:
    """Compute the indicators of a market.

    Args:
        days: Its closed days by date, in UTC.

    Returns:
        None where fewer than 15 days since the last gap are known, or a price is not above zero.
    """
    run = _unbroken(days)
    if len(run) < LEAST_DAYS or any(candle.close <= 0 for candle in run):
        return None
    import numpy as np
    import talib

    closes = np.array([candle.close for candle in run], dtype=np.float64)
    returns = [later / earlier - 1 for earlier, later in pairwise(closes)]
    logs = np.diff(np.log(closes[-_LOOKBACK - 1 :]))
    return Indicators(
        day=max(days),
        days=len(run),
        close=float(closes[-1]),
        rsi_14=float(talib.RSI(closes, 14)[-1]),
        sma_20_pct=_above_pct(closes[-1], talib.SMA(closes, 20)[-1]) if len(run) >= 20 else None,
        sma_50_pct=_above_pct(closes[-1], talib.SMA(closes, 50)[-1]) if len(run) >= 50 else None,
        volatility_30_pct=100 * float(np.std(logs, ddof=1)) * math.sqrt(_YEAR_DAYS) if len(logs) == _LOOKBACK else None,
        return_pct=100 * float(returns[-1]),
        return_z=_robust_z(returns[-1], returns[-_LOOKBACK - 1 : -1]),
        volume_ratio=_ratio(run[-1].volume, [candle.volume for candle in run[-_LOOKBACK - 1 : -1]]),
    )


def indicator_row(market: Sequence[Record]) -> dict[str, Any] | None:
    """Return the indicators of a market as a row of evidence.

    Args:
        market: Its closed daily candles, as rows of ``glass.market_candle``.

    Returns:
        Numbers in hundredths, the close as its row has it; None as in ``indicators``.
    """
    found = indicators(days_of(market))
    if found is None:
        return None
    numbers = {name: getattr(found, name) for name in MEASURES}
    return {
        **{name: market[0][name] for name in ("venue", "symbol", "currency")},
        "day": found.day.isoformat(),
        "days": found.days,
        "close": json_value(next(row["close"] for row in market if row["opened_at"].date() == found.day)),
        **{name: None if number is None else hundredths(number) for name, number in numbers.items()},
        "candles_sha256": candles_sha256(market),
    }


def _unbroken(days: Mapping[date, DailyCandle]) -> list[DailyCandle]:
    """Return the candles of the days up to the last one that follow each other without a gap, the oldest first."""
    found: list[DailyCandle] = []
    day = max(days, default=None)
    while day is not None and day in days:
        found.append(days[day])
        day -= _DAY
    return found[::-1]


def _above_pct(close: float, mean: float) -> float:
    return 100 * (float(close) / float(mean) - 1)


def _robust_z(value: float, others: Sequence[float]) -> float | None:
    if len(others) < _LOOKBACK:
        return None
    middle = median(others)
    deviation = _MAD_TO_DEVIATION * median(abs(other - middle) for other in others)
    return (value - middle) / deviation if deviation > 0 else None


def _ratio(value: float, others: Sequence[float]) -> float | None:
    if len(others) < _LOOKBACK:
        return None
    usual = median(others)
    return value / usual if usual > 0 else None
