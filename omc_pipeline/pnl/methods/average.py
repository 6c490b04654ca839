"""Average cost: all units lie in one pool and cost the same; a buy moves the average, a sell does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from omc_pipeline.pnl.engine import match_lots
from omc_pipeline.pnl.policy import OversellPolicy
from omc_pipeline.pnl.result import Matching
from omc_pipeline.pnl.trade import POOL, Lot, Trade


class Pool:
    """One lot that every buy is poured into. Which buy a unit came from is not known, so it bears no date.

    Args:
        held: The pool as it was left, to go on from.
    """

    def __init__(self, held: Lot | None = None) -> None:
        self._pool = held

    def add(self, lot: Lot) -> None:
        """Pour a lot in; the split starts anew from the sum."""
        held = self._pool
        qty, cost = (held.qty, held.cost) if held is not None else (0, 0)
        self._pool = Lot(lot.trade._replace(id=POOL, qty=qty + lot.qty, money=cost + lot.cost))
        self._pool.acquired_at = None

    def best(self) -> Lot | None:
        """Return the pool, or None where it is empty."""
        return self._pool

    def drop(self) -> None:
        """Empty the pool."""
        self._pool = None

    def lots(self) -> Iterable[Lot]:
        """Return the pool, if it holds anything."""
        return [] if self._pool is None else [self._pool]


def match_average(trades: Sequence[Trade], policy: OversellPolicy) -> Matching:
    """Match each sell to the pool at its moving average."""
    return match_lots(trades, Pool(), policy)
