"""What is asked of the ledgers' rates, and what is known: the words that all ways to a rate share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

Need = tuple[str, datetime]
"""A coin or money, and when."""


class Known(NamedTuple):
    """A rate in 1e-18 units, the rows that say so, and when the older of them was observed."""

    units: int
    origin: str
    at: datetime


Lookup = Callable[[Sequence[Need]], Mapping[Need, Known]]
"""One way to rates; what it can't tell is left out."""
