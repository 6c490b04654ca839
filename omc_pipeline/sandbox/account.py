"""CoinSpot accounts: what was bought and sold, and what is left of it; each account trades on its own, at the prices of all.

Each day is a round of its own: it sells less than it bought, so that no window of whole days ever shows a coin sold that was
not bought in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from omc_pipeline.sandbox.market import COINS, price_aud
from omc_pipeline.sandbox.noise import between, pick, unit
from omc_pipeline.sandbox.world import HISTORY, World, day_start

DEFAULT_ACCOUNT = "coinspot"
OPENING_AUD = 1_000_000.0
FEE_RATE = 0.001
SPREAD = 0.003
"""Distance of bid and of ask from the middle, relative."""


@dataclass(frozen=True)
class Fill:
    """One completed order; numbers are floats, noise included, as the venue has them. ``total_aud`` is before the fee."""

    side: Literal["buy", "sell"]
    coin: str
    amount: float
    rate_aud: float
    executed_at: datetime
    is_instant: bool

    @property
    def total_aud(self) -> float:
        """Amount times rate."""
        return self.amount * self.rate_aud

    @property
    def fee_aud(self) -> float:
        """What the venue keeps, its tax (GST) included."""
        return self.total_aud * FEE_RATE


def fills(world: World, now: datetime, account: str = DEFAULT_ACCOUNT) -> list[Fill]:
    """Return all fills from an account's opening, 30 days before anyone first asked, until now; oldest first."""
    opened = day_start(world.state.opened(day_start(world.clock() - HISTORY)))
    days = [opened + timedelta(days=n) for n in range((day_start(now) - opened).days + 1)]
    drawn = [fill for day in days for fill in _round(world.seed, _trader(world.seed, account), day) if fill.executed_at <= now]
    return sorted(drawn, key=lambda fill: fill.executed_at)


def holdings(world: World, now: datetime, account: str = DEFAULT_ACCOUNT) -> dict[str, float]:
    """Return what an account holds of each coin and of AUD."""
    held = {"AUD": OPENING_AUD} | dict.fromkeys(COINS, 0.0)
    for fill in fills(world, now, account):
        sign = 1 if fill.side == "buy" else -1
        held[fill.coin] += sign * fill.amount
        held["AUD"] -= sign * fill.total_aud + fill.fee_aud
    return held


def _trader(seed: int, account: str) -> int:
    """Return the seed of an account's own decisions; the default account's is the world's."""
    if account == DEFAULT_ACCOUNT:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed} {account}".encode()).digest()[:6], "big")


def _round(seed: int, trader: int, day: datetime) -> Iterator[Fill]:
    """Draw one day's fills: two to four buys of one or two coins in the morning, then sales of a part of each."""
    name = day.date()
    coins = [pick(tuple(COINS), trader, "coin", name, n) for n in range(2)]
    bought = dict.fromkeys(coins, 0.0)
    buys = 2 + int(unit(trader, "buys", name) * 2.2)
    for n in range(buys):
        coin = coins[n % 2]
        fill = _fill(
            seed, trader, day, "buy", coin, between(0, 12, trader, "buy at", name, n), between(150, 1_900, trader, "buy for", name, n), n
        )
        bought[coin] += fill.amount
        yield fill
    for n, coin in enumerate(dict.fromkeys(coins)):
        if unit(trader, "sells", name, n) < 0.75:
            at_h = between(12.5, 23.9, trader, "sell at", name, n)
            part = between(0.3, 0.95, trader, "sell part", name, n)
            yield _fill(seed, trader, day, "sell", coin, at_h, bought[coin] * part, 10 + n)


def _fill(seed: int, trader: int, day: datetime, side: Literal["buy", "sell"], coin: str, at_h: float, size: float, number: int) -> Fill:
    """Price one fill; ``size`` is AUD to spend for a buy, and units of the coin for a sale."""
    executed_at = day + timedelta(milliseconds=round(at_h * 3_600_000))
    middle = price_aud(seed, coin, executed_at.timestamp())
    rate = round(middle * (1 + SPREAD if side == "buy" else 1 - SPREAD), COINS[coin].aud_decimals)
    amount = round(size / rate if side == "buy" else size - 1e-8, 8)
    return Fill(side, coin, amount, rate, executed_at, unit(trader, "instant", day.date(), number) < 0.4)
