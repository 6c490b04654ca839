"""Invented prices: each coin wanders around a level of its own, and AUD is USD times a slowly moving rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from omc_pipeline.sandbox.noise import wave

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
_SWINGS = ((30 * DAY_S, 0.09), (5 * DAY_S, 0.035), (DAY_S, 0.014), (2 * HOUR_S, 0.005), (10 * MINUTE_S, 0.0015), (MINUTE_S, 0.0004))
"""Period and height of each wave that makes up a price, relative to the coin's level."""
_AUD_PER_USD = 1.52
_USD_PER_EUR = 1.09


@dataclass(frozen=True)
class Coin:
    """One coin: its level in USD, the decimals its venue quotes in AUD, and its name in the price API."""

    symbol: str
    level_usd: float
    aud_decimals: int
    gecko_id: str
    token_decimals: int | None = None


COINS = {
    coin.symbol: coin
    for coin in (
        Coin("BTC", 93_000, 2, "bitcoin"),
        Coin("ETH", 3_150, 2, "ethereum"),
        Coin("SOL", 172, 4, "solana"),
        Coin("XRP", 2.35, 6, "ripple"),
        Coin("ADA", 0.61, 6, "cardano"),
        Coin("DOGE", 0.187, 8, "dogecoin"),
        Coin("LTC", 96, 4, "litecoin"),
        Coin("LINK", 15.8, 5, "chainlink", 18),
    )
}


def price_usd(seed: int, symbol: str, at_s: float) -> float:
    """Return a coin's price in USD at an epoch second."""
    drift = sum(height * wave(seed, f"{symbol}/usd", at_s, period_s) for period_s, height in _SWINGS)
    return COINS[symbol].level_usd * math.exp(drift)


def aud_per_usd(seed: int, at_s: float) -> float:
    """Return how many AUD a USD buys at an epoch second."""
    return _AUD_PER_USD * math.exp(0.015 * wave(seed, "fx", at_s, 20 * DAY_S) + 0.004 * wave(seed, "fx", at_s, DAY_S))


def usd_per_eur(seed: int, at_s: float) -> float:
    """Return how many USD a EUR buys at an epoch second."""
    return _USD_PER_EUR * math.exp(0.012 * wave(seed, "eur", at_s, 20 * DAY_S) + 0.003 * wave(seed, "eur", at_s, DAY_S))


def price_aud(seed: int, symbol: str, at_s: float) -> float:
    """Return a coin's price in AUD at an epoch second, consistent with its price in USD."""
    return price_usd(seed, symbol, at_s) * aud_per_usd(seed, at_s)
