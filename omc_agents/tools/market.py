"""Daily candles of a market as the analyses take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from omc_agents.claims.evidence import canonical_sha256, ref_of
from omc_pipeline.ledgers.glass import MARKET_CANDLE
from omc_pipeline.ledgers.read import Record


@dataclass(frozen=True)
class DailyCandle:
    """A day of a market: its close in the market's currency, and the coins traded."""

    close: float
    volume: float


def days_of(market: Sequence[Record]) -> dict[date, DailyCandle]:
    """Return the closed daily candles of one market by their day in UTC."""
    return {row["opened_at"].date(): DailyCandle(float(row["close"]), float(row["volume"])) for row in market}


def candles_sha256(market: Sequence[Record]) -> str:
    """Return a digest of the references of candles, by which an analysis names what it was computed from."""
    key = ("source", *MARKET_CANDLE.key)
    return canonical_sha256([ref_of(MARKET_CANDLE.qualified, [row[name] for name in key], row["version"]) for row in market])


def hundredths(number: float) -> str:
    """Return a number with two decimals; a zero has no sign."""
    return f"{round(number, 2) + 0.0:.2f}"
