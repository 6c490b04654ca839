"""What a market did around events of the past: an event study by the mean-adjusted model (Brown and Warner, 1980). Pure.

The return of an event runs from the last daily close before its day to the close some days later. What the market usually does in as
many days is the mean of all such returns that begin on other days; the abnormal return is the difference.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import fmean, median, stdev

from scipy.special import stdtrit

from omc_agents.tools.market import DailyCandle

LEAST_PEERS = 3
"""Fewer events say nothing that an interval could hold."""
LEAST_DAYS = 10
"""Days with a return that are no event's, at least; fewer are no usual behaviour."""
CONFIDENCE = 0.95
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class EventStudy:
    """What the market did around past events.

    Attributes:
        peers: Number of days with events whose return is known; several events of a day count once.
        first, last: The first and the last of them.
        mean_pct: Mean abnormal return in percent.
        low_pct, high_pct: Interval of Student's t that holds the mean with 95 % confidence, were the events independent.
        usual_pct: Mean return of the other days.
        volume_ratio: Median over the events of the day's volume by the median volume of the other days; None without volume.
    """

    peers: int
    first: date
    last: date
    mean_pct: float
    low_pct: float
    high_pct: float
    usual_pct: float
    volume_ratio: float | None


def event_study(days: Mapping[date, DailyCandle], events: Collection[date], through_days: int) -> EventStudy | None:
    """Study a market's returns around events.

    Args:
        days: Closed days of one market; gaps are no returns.
        events: Days with an event, in UTC as the candles are.
        through_days: How many days after its day an event's return ends; 0: with the day itself.

    Returns:
        None where too few events or too few other days have a return.
    """
    returns = {
        day: days[day + through_days * _DAY].close / days[day - _DAY].close - 1
        for day in days
        if day - _DAY in days and day + through_days * _DAY in days and days[day - _DAY].close > 0
    }
    at_events = {day: returns[day] for day in sorted(set(events)) if day in returns}
    others = [change for day, change in returns.items() if day not in set(events)]
    if len(at_events) < LEAST_PEERS or len(others) < LEAST_DAYS:
        return None
    usual = fmean(others)
    abnormal = [change - usual for change in at_events.values()]
    mean, half = fmean(abnormal), float(stdtrit(len(abnormal) - 1, (1 + CONFIDENCE) / 2)) * stdev(abnormal) / math.sqrt(len(abnormal))
    return EventStudy(
        len(abnormal), min(at_events), max(at_events), 100 * mean, 100 * (mean - half), 100 * (mean + half), 100 * usual,
        _volume_ratio(days, at_events, set(events)),
    )  # fmt: skip


def _volume_ratio(days: Mapping[date, DailyCandle], at_events: Collection[date], events: Collection[date]) -> float | None:
    usual = median([candle.volume for day, candle in days.items() if day not in events])
    return median([days[day].volume for day in at_events]) / usual if usual > 0 else None
