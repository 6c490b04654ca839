"""What comes to and leaves accounts at venues beside trades: a first deposit of money, coins from outside, rewards, withdrawals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from omc_pipeline.sandbox.account import OPENING_AUD
from omc_pipeline.sandbox.noise import between
from omc_pipeline.sandbox.world import HISTORY, World, day_start

FEE_PART = 0.001
"""What a withdrawal costs, of its amount, in the coin itself."""


@dataclass(frozen=True)
class Movement:
    """One movement; ``amount`` is what arrived or was sent, without the fee."""

    kind: Literal["deposit", "withdrawal", "staking"]
    coin: str
    amount: str
    fee: str
    at: datetime


def movements(world: World, now: datetime, account: str, cash: str) -> list[Movement]:
    """Return an account's movements until now, oldest first; the first brings ``cash`` to trade with."""
    opened = day_start(world.state.opened(day_start(world.clock() - HISTORY)))
    return sorted((each for each in _drawn(world.seed, account, cash, opened, now) if each.at <= now), key=lambda each: each.at)


def _drawn(seed: int, account: str, cash: str, opened: datetime, now: datetime) -> Iterator[Movement]:
    yield Movement("deposit", cash, f"{OPENING_AUD:.4f}", "0.0000", opened - timedelta(hours=1))
    yield Movement("deposit", "SOL", "40.00000000", "0.00000000", opened + timedelta(hours=2))
    for week in range((now - opened).days // 7 + 1):
        at = opened + timedelta(days=7 * week, hours=9)
        reward = between(0.01, 0.05, seed, account, "reward", week)
        yield Movement("staking", "SOL", f"{reward:.8f}", "0.00000000", at)
        sent = between(0.5, 1.5, seed, account, "sent", week)
        yield Movement("withdrawal", "SOL", f"{sent:.8f}", f"{sent * FEE_PART:.8f}", at + timedelta(days=2))
