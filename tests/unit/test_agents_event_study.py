"""The event study equals a reference computed with pandas and scipy's own interval; few events give none."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pandas as pd
import pytest
from scipy import stats

from omc_agents.tools.event_study import event_study
from omc_agents.tools.market import DailyCandle

BEGIN = date(2026, 1, 1)


def series(seed: int, length: int = 90, missing: int = 4) -> dict[date, DailyCandle]:
    draw, price = random.Random(seed), 100.0
    days: dict[date, DailyCandle] = {}
    for number in range(length):
        price *= 1 + draw.gauss(0.001, 0.03)
        days[BEGIN + timedelta(days=number)] = DailyCandle(price, draw.uniform(10, 1000))
    for day in draw.sample(sorted(days), missing):
        del days[day]
    return days


@pytest.mark.parametrize("through", [0, 1, 3])
@pytest.mark.parametrize("seed", range(12))
def test_the_study_equals_the_reference(seed: int, through: int) -> None:
    days = series(seed)
    events = random.Random(seed + 99).sample([BEGIN + timedelta(days=n) for n in range(-3, 95)], 20)

    found = event_study(days, events, through)

    frame = pd.DataFrame({"close": {d: c.close for d, c in days.items()}, "volume": {d: c.volume for d, c in days.items()}})
    frame = frame.reindex(pd.date_range(BEGIN, periods=90).date)
    change = (frame["close"].shift(-through) / frame["close"].shift(1) - 1).where(frame["close"].notna())
    is_event = frame.index.isin(events)
    usual = change[~is_event].mean()
    abnormal = (change[is_event] - usual).dropna() * 100
    assert found is not None
    assert found.peers == len(abnormal)
    assert found.mean_pct == pytest.approx(abnormal.mean())
    low, high = stats.t.interval(0.95, len(abnormal) - 1, loc=abnormal.mean(), scale=stats.sem(abnormal))
    assert (found.low_pct, found.high_pct) == (pytest.approx(low), pytest.approx(high))
    assert found.usual_pct == pytest.approx(usual * 100)
    at_events = frame["volume"][abnormal.index]
    assert found.volume_ratio == pytest.approx(at_events.median() / frame["volume"][~is_event].median())


def test_too_few_events_or_days_give_no_study() -> None:
    days = series(1, missing=0)

    assert event_study(days, [BEGIN + timedelta(days=n) for n in (5, 9)], 0) is None
    assert event_study(dict(list(days.items())[:9]), [BEGIN + timedelta(days=n) for n in (2, 4, 6)], 0) is None


def test_an_event_whose_days_are_not_over_does_not_count() -> None:
    days = series(2, missing=0)
    last = max(days)
    early = [BEGIN + timedelta(days=n) for n in (10, 20, 30)]

    study = event_study(days, [*early, last], 1)
    assert study is not None
    assert study.peers == 3
    assert study.last == early[-1]


def test_several_events_of_one_day_count_once() -> None:
    days = series(3, missing=0)
    once = [BEGIN + timedelta(days=n) for n in (10, 20, 30)]

    assert event_study(days, [*once, *once], 1) == event_study(days, once, 1)
