"""Highest in, first out: a sell takes from the lot with the highest spot price held now; of equals, the oldest."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from omc_pipeline.pnl.engine import match_lots
from omc_pipeline.pnl.policy import OversellPolicy
from omc_pipeline.pnl.result import Matching
from omc_pipeline.pnl.trade import Lot, Trade


class ByPrice:
    """A heap by the price without fee; with the fee in it, published results come out otherwise.

    Args:
        sign: -1 takes the highest price first, 1 the lowest.
    """

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._heap: list[tuple[int, int, Lot]] = []
        self._added = 0

    def add(self, lot: Lot) -> None:
        """Take a new lot in; the running number settles equal prices."""
        heapq.heappush(self._heap, (self._sign * lot.trade.price, self._added, lot))
        self._added += 1

    def best(self) -> Lot | None:
        """Return the lot of the best price."""
        return self._heap[0][2] if self._heap else None

    def drop(self) -> None:
        """Remove that lot."""
        heapq.heappop(self._heap)

    def lots(self) -> Iterable[Lot]:
        """Return the lots held, oldest first."""
        return [lot for _, _, lot in sorted(self._heap, key=lambda entry: entry[1])]


def match_hifo(trades: Sequence[Trade], policy: OversellPolicy) -> Matching:
    """Match each sell to the dearest lots."""
    return match_lots(trades, ByPrice(-1), policy)
