"""Chance that can be asked again: what is drawn depends on a seed and a name, not on what was drawn before."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

_DAY_S = 86_400
_PERIODS_DAYS = (211.0, 47.0, 9.0, 1.0, 0.09)
_HEIGHTS = (0.22, 0.11, 0.05, 0.018, 0.006)


@dataclass(frozen=True)
class Coin:
    """An invented market.

    Attributes:
        symbol: The coin.
        level_aud: The price around which it wanders.
        decimals: Of its price.
    """

    symbol: str
    level_aud: float
    decimals: int


COINS = (
    Coin("BTC", 141_000, 2),
    Coin("ETH", 4_800, 2),
    Coin("SOL", 260, 4),
    Coin("XRP", 3.6, 6),
    Coin("ADA", 0.93, 6),
    Coin("DOGE", 0.28, 8),
    Coin("LTC", 146, 4),
    Coin("LINK", 24, 5),
)


def chance(seed: int, *names: object) -> random.Random:
    """Return a generator of its own for a seed and a name."""
    return random.Random("/".join(map(str, (seed, *names))))  # noqa: S311 invented data, no secret


def price_aud(seed: int, coin: Coin, at: datetime) -> Decimal:
    """Return the middle price of a coin at a time."""
    phases = chance(seed, "price", coin.symbol)
    days = at.timestamp() / _DAY_S
    drift = sum(
        height * math.sin(2 * math.pi * (days / period + phases.random())) for period, height in zip(_PERIODS_DAYS, _HEIGHTS, strict=True)
    )
    return rounded(coin.level_aud * math.exp(drift), coin.decimals)


def rounded(value: float, decimals: int) -> Decimal:
    """Return a number of so many decimals."""
    return Decimal(f"{value:.{decimals}f}")
