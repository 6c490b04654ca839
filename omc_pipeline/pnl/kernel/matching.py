"""Trades in, the engine's own result out: the kernel between the two, and the Python engine for what the kernel leaves to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omc_pipeline.pnl.amounts import LIMIT
from omc_pipeline.pnl.engine import ZERO_BASIS
from omc_pipeline.pnl.kinds import AT_COST
from omc_pipeline.pnl.policy import Method, OversellPolicy
from omc_pipeline.pnl.result import Matching, OpenLot
from omc_pipeline.pnl.trade import POOL, Matches, Trade

if TYPE_CHECKING:
    from omc_pipeline.pnl.kernel.columns import Column
    from omc_pipeline.pnl.kernel.matched import Matched


def fits(trades: Sequence[Trade]) -> bool:
    """Tell whether a position's units and money, added up without signs, stay below 1e38 units each."""
    return sum(abs(trade.qty) for trade in trades) < LIMIT and sum(abs(trade.money) for trade in trades) < LIMIT


def match_trades(
    positions: Sequence[Sequence[Trade]], method: Method, policy: OversellPolicy, cache: Path | None = None
) -> list[Matching] | None:
    """Match positions that fit.

    Args:
        positions: Each in the order of ``trade.in_order``.
        method: One of ``run.KERNEL_METHODS``.
        policy: What to do with units that were sold but not held.
        cache: Folder of compiled code.

    Returns:
        A matching a position; None where the policy refuses a sell, which the Python engine words.

    Raises:
        ImportError: numba is not there or does not run here.
    """
    from omc_pipeline.pnl.kernel.fills import fills_of_trades
    from omc_pipeline.pnl.kernel.run import match_fills

    fills = fills_of_trades(positions, priced=method in ("hifo", "lofo"))
    matched = match_fills(fills, method, "exclude" if policy == "refuse" else policy, cache=cache)
    if policy == "refuse" and len(matched.unmatched.sell):
        return None
    return _Reader(positions, matched).matchings()


class _Reader:
    """Reads columns back into the engine's rows, whose words are ids and times."""

    def __init__(self, positions: Sequence[Sequence[Trade]], matched: Matched) -> None:
        trades = [trade for position in positions for trade in position]
        self._positions, self._trades, self._matched = positions, trades, matched
        # Rows -2 and -1, no lot and the pool, find their words at the end of the list.
        self._ids = [*(trade.id for trade in trades), None, POOL]
        self._acquired = [*(trade.time for trade in trades), None, None]

    def matchings(self) -> list[Matching]:
        """Return a matching a position."""
        return [
            Matching(self._matches(place), self._open_lots(place), self._realized(place, trades), self._unmatched(place))
            for place, trades in enumerate(self._positions)
        ]

    def _matches(self, position: int) -> Matches:
        found = self._matched.matches
        rows = self._matched.rows_of(found.ends, position)
        amounts = zip(*(_integers(column, rows) for column in (found.qty, found.cost, found.proceeds)), strict=True)
        keys = zip(found.sell[rows].tolist(), found.lot[rows].tolist(), strict=True)
        ids, acquired, trades = self._ids, self._acquired, self._trades
        return Matches(
            [
                (ids[sell], ids[lot], *amount, acquired[lot], trades[sell].time, _rule(trades[sell], ids[lot]))
                for (sell, lot), amount in zip(keys, amounts, strict=True)
            ]
        )

    def _open_lots(self, position: int) -> list[OpenLot]:
        found = self._matched.open_lots
        rows = self._matched.rows_of(found.ends, position)
        amounts = zip(_integers(found.qty, rows), _integers(found.cost, rows), strict=True)
        return [
            OpenLot(self._ids[lot], qty, cost, self._acquired[lot])
            for lot, (qty, cost) in zip(found.lot[rows].tolist(), amounts, strict=True)
        ]

    def _realized(self, position: int, trades: Sequence[Trade]) -> dict[str, int]:
        found = self._matched.matches
        rows = self._matched.rows_of(found.ends, position)
        realized = {trade.id: 0 for trade in trades if trade.side == "sell"}
        for sell, gain in zip(found.sell[rows].tolist(), _integers(found.gain, rows), strict=True):
            realized[self._ids[sell]] += gain
        return realized

    def _unmatched(self, position: int) -> dict[str, int]:
        found = self._matched.unmatched
        rows = self._matched.rows_of(found.ends, position)
        return {self._ids[sell]: qty for sell, qty in zip(found.sell[rows].tolist(), _integers(found.qty, rows), strict=True)}


def _integers(column: Column, rows: slice) -> list[int]:
    from omc_pipeline.pnl.kernel.columns import integers_of

    return integers_of(column[rows])


def _rule(sell: Trade, lot: str | None) -> str | None:
    if lot is None:
        return ZERO_BASIS
    return sell.kind if sell.kind in AT_COST else None
