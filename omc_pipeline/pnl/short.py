"""Short positions: a sale of more than is held opens one, and a purchase closes it before it adds to what is held."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from omc_pipeline.pnl.engine import LotQueue
from omc_pipeline.pnl.kinds import AT_COST
from omc_pipeline.pnl.result import Matching, OpenLot
from omc_pipeline.pnl.split import remaining_share
from omc_pipeline.pnl.trade import Lot, Matches, Piece, Trade

SHORT = "short"


def match_with_shorts(trades: Sequence[Trade], new_queue: Callable[[], LotQueue]) -> Matching:
    """Match purchases and sales in both directions.

    The gain of a short position counts when it is closed, and stands under the sale that opened it; what is still open is in
    ``unmatched``, and no gain.

    Args:
        trades: One position, in the order of ``in_order``.
        new_queue: Makes the empty queue of the method; short sales are closed in the same order as lots are sold.
    """
    long, short = new_queue(), new_queue()
    pieces: list[Piece] = []
    realized: dict[str, int] = {}
    for trade in trades:
        opposite, own = (short, long) if trade.side == "buy" else (long, short)
        need, left = trade.qty, trade.money
        while need and (lot := opposite.best()) is not None:
            if lot.qty <= need:
                taken, stated = lot.qty, lot.cost
                opposite.drop()
            else:
                taken, stated = need, lot.take(need)
            need -= taken
            rest = remaining_share(trade.money, need, trade.qty) if need else 0
            pieces.append(_piece(trade, lot, taken, stated, left - rest))
            left = rest
            sell, _, _, cost, proceeds, *_ = pieces[-1]
            realized[sell] = realized.get(sell, 0) + proceeds - cost
        if need:
            own.add(Lot(trade._replace(qty=need, money=left)))
        if trade.side == "sell":
            realized.setdefault(trade.id, 0)
    unmatched = {lot.trade.id: lot.qty for lot in short.lots()}
    return Matching(Matches(pieces), [OpenLot.of(lot) for lot in long.lots()], realized, unmatched)


def _piece(trade: Trade, lot: Lot, qty: int, of_lot: int, of_trade: int) -> Piece:
    """Return the match of a trade and the lot that it closes, long or short; what left at cost brought its cost."""
    if trade.side == "buy":
        return (lot.trade.id, trade.id, qty, of_trade, of_lot, trade.time, trade.time, SHORT)
    rule = trade.kind if trade.kind in AT_COST else None
    return (trade.id, lot.trade.id, qty, of_lot, of_lot if rule else of_trade, lot.acquired_at, trade.time, rule)
