"""Last in, first out: a sell takes from the newest lot acquired up to then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from omc_pipeline.pnl.engine import match_lots
from omc_pipeline.pnl.policy import OversellPolicy
from omc_pipeline.pnl.result import Matching
from omc_pipeline.pnl.trade import Lot, Trade


class NewestFirst:
    """A stack."""

    def __init__(self) -> None:
        self._lots: list[Lot] = []
        self.add = self._lots.append
        self.drop = self._lots.pop

    def best(self) -> Lot | None:
        """Return the newest lot."""
        return self._lots[-1] if self._lots else None

    def lots(self) -> Iterable[Lot]:
        """Return the lots held, oldest first."""
        return self._lots


def match_lifo(trades: Sequence[Trade], policy: OversellPolicy) -> Matching:
    """Match each sell to the newest lots; linear in the number of trades."""
    return match_lots(trades, NewestFirst(), policy)
