"""Canada: adjusted cost base (moving average), and superficial losses denied and added to the cost of what was bought back.

A loss is superficial as far as the same property was acquired from 30 days before the sale to 30 days after it and is held at the end of
that time: of it ``min(S, P, B) / S`` is denied, S units sold, P acquired in those days, B held at their end.
Sources: Income Tax Act s 47, s 54 "superficial loss", s 40(2)(g)(i); CRA's formula in technical interpretation 2005-0120301E5. A spouse's
or a company's purchases are not known here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, tzinfo
from itertools import accumulate

from omc_pipeline.pnl.engine import match_lots
from omc_pipeline.pnl.kinds import AT_COST
from omc_pipeline.pnl.methods.average import Pool
from omc_pipeline.pnl.policy import OversellPolicy
from omc_pipeline.pnl.result import Matching, OpenLot
from omc_pipeline.pnl.trade import POOL, Lot, Matches, Piece, Trade

_DAYS = 30


def match_ca(trades: Sequence[Trade], policy: OversellPolicy, zone: tzinfo = UTC) -> Matching:
    """Match each sell to the pool, and move what is denied of a loss into the cost of the pool.

    A denied loss lowers the cost of its match, so gains and costs still add up exactly.

    Args:
        trades: One position, in the order of ``in_order``.
        policy: What to do with units that were sold but not held.
        zone: Whose days count.
    """
    window = _Window(trades, zone)
    pool, denied = Pool(), 0
    pieces: list[Piece] = []
    realized: dict[str, int] = {}
    unmatched: dict[str, int] = {}
    for trade in trades:
        found = match_lots([trade], pool, policy)
        unmatched.update(found.unmatched)
        for piece in found.matches.pieces:
            loss = piece[3] - piece[4]
            if trade.kind not in AT_COST and piece[1] is not None and loss > 0:
                part = loss * min(piece[2], window.acquired(trade), window.held_after(trade)) // piece[2]
                denied += part
                pieces.append((*piece[:3], piece[3] - part, *piece[4:7], "superficial" if part else piece[7]))
                realized[trade.id] = realized.get(trade.id, 0) + part
            else:
                pieces.append(piece)
        for sell, gain in found.realized.items():
            realized[sell] = realized.get(sell, 0) + gain
        held = pool.best()
        if denied and held is not None:
            pool = Pool(_dearer(held, denied))
            denied = 0
    return Matching(Matches(pieces), [OpenLot.of(lot) for lot in pool.lots()], realized, unmatched)


def _dearer(held: Lot, by: int) -> Lot:
    lot = Lot(held.trade._replace(id=POOL, qty=held.qty, money=held.cost + by))
    lot.acquired_at = None
    return lot


class _Window:
    """What was acquired around a sale, and what was held when its 61 days were over."""

    def __init__(self, trades: Sequence[Trade], zone: tzinfo) -> None:
        self._zone = zone
        self._days = [self._day(trade) for trade in trades]
        self._acquired = list(
            accumulate((trade.qty if trade.side == "buy" and trade.acquired_at is None else 0 for trade in trades), initial=0)
        )
        self._held = list(
            accumulate((trade.qty if trade.side == "buy" else -trade.qty for trade in trades), lambda a, b: max(a + b, 0), initial=0)
        )

    def acquired(self, sale: Trade) -> int:
        """Return the units acquired from 30 days before a sale to 30 days after it."""
        day = self._day(sale)
        return self._acquired[bisect_right(self._days, day + _DAYS)] - self._acquired[bisect_left(self._days, day - _DAYS)]

    def held_after(self, sale: Trade) -> int:
        """Return the units held at the end of the 30th day after a sale."""
        return self._held[bisect_right(self._days, self._day(sale) + _DAYS)]

    def _day(self, trade: Trade) -> int:
        return trade.time.astimezone(self._zone).toordinal()
