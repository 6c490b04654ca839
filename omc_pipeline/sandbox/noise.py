"""Chance that can be asked again: numbers drawn from a seed, a name and a time, the same for ever."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TypeVar

Choice = TypeVar("Choice")


def unit(seed: int, *names: object) -> float:
    """Draw a number from 0 up to, not including, 1."""
    digest = hashlib.blake2b("/".join(map(str, (seed, *names))).encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53


def between(low: float, high: float, seed: int, *names: object) -> float:
    """Draw a number from ``low`` up to ``high``."""
    return low + (high - low) * unit(seed, *names)


def pick(choices: Sequence[Choice], seed: int, *names: object) -> Choice:
    """Draw one of several."""
    return choices[int(unit(seed, *names) * len(choices))]


def wave(seed: int, name: str, at_s: float, period_s: float) -> float:
    """Return a smooth curve's value, -1 to 1, that takes a new random level each period."""
    cell = math.floor(at_s / period_s)
    part = at_s / period_s - cell
    here, there = (between(-1, 1, seed, name, period_s, corner) for corner in (cell, cell + 1))
    return here + (there - here) * part * part * (3 - 2 * part)
