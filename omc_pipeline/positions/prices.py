"""The price a quote gives: the middle of bid and ask; where one of them is missing, the last trade; then the bid.

An ask alone is no price: nobody has offered to pay it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from omc_pipeline.pnl.amounts import exact_units, rounded_quotient


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one coin, in 1e-18 units."""

    units: int
    source: str
    observed_at: datetime


def price_of(quote: Mapping[str, Any]) -> Price | None:
    """Return the price that a quote gives, or None where it gives none that one could sell at."""
    bid, ask, last = ([exact_units(quote[name])] if quote[name] is not None else [] for name in ("bid", "ask", "last"))
    middle = [rounded_quotient(bid[0] + ask[0], 2)] if bid and ask else []
    units = next(iter(middle + last + bid), None)
    return None if units is None else Price(units, quote["source"], quote["observed_at"])
