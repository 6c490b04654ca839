"""Technical indicators equal a reference computed with pandas; gaps, few days and flat markets give what can be said, and no more."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest

from omc_agents.tools.indicators import LEAST_DAYS, indicator_row, indicators
from omc_agents.tools.market import DailyCandle

DAY = timedelta(days=1)
TODAY = date(2026, 11, 27)


def walk(days: int, seed: int = 7) -> dict[date, DailyCandle]:
    draw, close, found = random.Random(seed), 100_000.0, {}
    for n in range(days):
        close *= 1 + draw.gauss(0.001, 0.02)
        found[TODAY - (days - 1 - n) * DAY] = DailyCandle(close, draw.uniform(5, 50))
    return found


def reference(days: dict[date, DailyCandle]) -> dict[str, float]:
    """Compute the same with pandas; Wilder's averages begin with the plain mean of the first fourteen changes."""
    close = pd.Series([candle.close for candle in days.values()])
    volume = pd.Series([candle.volume for candle in days.values()])
    change = close.diff().dropna()
    up, down = change.clip(lower=0), -change.clip(upper=0)

    def wilder(values: pd.Series[float]) -> float:
        mean = values.iloc[:14].mean()
        for value in values.iloc[14:]:
            mean = (13 * mean + value) / 14
        return float(mean)

    returns = close.pct_change().dropna()
    before = returns.iloc[-31:-1]
    mad = (before - before.median()).abs().median()
    logs = (close / close.shift()).apply(math.log).dropna().iloc[-30:]
    return {
        "rsi_14": 100 - 100 / (1 + wilder(up) / wilder(down)),
        "sma_20_pct": 100 * (close.iloc[-1] / close.rolling(20).mean().iloc[-1] - 1),
        "sma_50_pct": 100 * (close.iloc[-1] / close.rolling(50).mean().iloc[-1] - 1),
        "volatility_30_pct": 100 * logs.std(ddof=1) * math.sqrt(365),
        "return_pct": 100 * returns.iloc[-1],
        "return_z": (returns.iloc[-1] - before.median()) / (1.4826 * mad),
        "volume_ratio": volume.iloc[-1] / volume.iloc[-31:-1].median(),
    }


@pytest.mark.parametrize(("days", "seed"), [(50, 1), (51, 2), (90, 3), (720, 4)])
def test_they_equal_a_reference_computed_with_pandas(days: int, seed: int) -> None:
    market = walk(days, seed)

    found = indicators(market)

    assert found is not None
    assert (found.day, found.days, found.close) == (TODAY, days, market[TODAY].close)
    for name, value in reference(market).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-9), name


def test_with_few_days_the_longer_mean_is_unknown_and_with_fewer_nothing_is_said() -> None:
    assert indicators(walk(LEAST_DAYS - 1)) is None
    assert indicators({}) is None
    few = indicators(walk(LEAST_DAYS))
    assert few is not None
    assert (few.sma_20_pct, few.sma_50_pct, few.volatility_30_pct, few.return_z, few.volume_ratio) == (None,) * 5
    assert few.rsi_14 == pytest.approx(reference(walk(LEAST_DAYS))["rsi_14"])


def test_a_month_has_no_month_before_its_last_day() -> None:
    found = indicators(walk(31))

    assert found is not None
    assert found.volatility_30_pct is not None
    assert found.volume_ratio is not None
    assert found.return_z is None  # twenty-nine changes before the last


def test_nothing_from_before_a_gap_counts() -> None:
    market = walk(90)
    del market[TODAY - 40 * DAY]

    found = indicators(market)

    assert found is not None
    assert (found.days, found.sma_50_pct) == (40, None)


def test_a_market_that_stands_still_has_no_deviation_and_no_volume_no_ratio() -> None:
    found = indicators({TODAY - n * DAY: DailyCandle(100.0, 0.0) for n in range(60)})

    assert found is not None
    assert (found.return_z, found.volume_ratio, found.volatility_30_pct) == (None, None, 0.0)
    assert indicators({TODAY - n * DAY: DailyCandle(float(n > 3), 1.0) for n in range(60)}) is None


def test_a_row_of_evidence_has_the_close_as_it_stands_and_numbers_in_hundredths() -> None:
    market = [
        {
            "source": "s", "venue": "kraken", "symbol": "BTC", "currency": "USD", "interval": "1d", "version": 1,
            "opened_at": datetime(day.year, day.month, day.day, tzinfo=UTC), "close": Decimal(str(candle.close)),
            "volume": Decimal(str(candle.volume)),
        }
        for day, candle in walk(40).items()
    ]  # fmt: skip

    row = indicator_row(market)

    assert row is not None
    assert (row["venue"], row["symbol"], row["currency"], row["day"], row["days"]) == ("kraken", "BTC", "USD", "2026-11-27", 40)
    assert Decimal(row["close"]) == market[-1]["close"]
    assert row["sma_50_pct"] is None
    assert all(Decimal(row[name]).as_tuple().exponent == -2 for name in ("rsi_14", "sma_20_pct", "volatility_30_pct", "return_z"))
    assert indicator_row(market[:-1] + market[-1:])["candles_sha256"] == row["candles_sha256"]  # type: ignore[index]
    assert indicator_row([{**market[-1], "version": 2}, *market[:-1]])["candles_sha256"] != row["candles_sha256"]  # type: ignore[index]
