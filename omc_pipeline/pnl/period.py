"""The part of computed positions that lies in a period: gains, matches, fees, income; lots are those at the end of all trades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from omc_pipeline.pnl.report.periods import Window
from omc_pipeline.pnl.result import Matching, PositionResult
from omc_pipeline.pnl.trade import Matches, Trade


def within(positions: Sequence[PositionResult], trades: Sequence[Trade], window: Window) -> list[PositionResult]:
    """Cut positions to a period; the matching has looked at all trades, also those after it.

    Args:
        positions: As computed from all trades.
        trades: All trades.
        window: Half-open.
    """
    by_position = {key: list(own) for key, own in groupby(sorted(trades, key=_position_of), key=_position_of)}
    return [_cut(position, by_position.get((position.symbol, position.currency), []), window) for position in positions]


def _cut(position: PositionResult, trades: Sequence[Trade], window: Window) -> PositionResult:
    times = {trade.id: trade.time for trade in trades}
    ends = {piece[0]: piece[6] for piece in position.matching.matches.pieces}

    def is_in(sell: str) -> bool:
        moment = ends.get(sell) or times.get(sell) or times.get(sell.partition("+")[0])
        return moment is not None and window.has(moment)

    own = position.matching
    matching = Matching(
        Matches([piece for piece in own.matches.pieces if window.has(piece[6])]),
        own.open_lots,
        {
            sell: sum(piece[4] - piece[3] for piece in own.matches.pieces if piece[0] == sell and window.has(piece[6]))
            for sell in own.realized
            if is_in(sell)
        }
        if any(piece[7] == "short" for piece in own.matches.pieces)
        else {sell: gain for sell, gain in own.realized.items() if is_in(sell)},
        {sell: qty for sell, qty in own.unmatched.items() if is_in(sell)},
    )
    inside = [trade for trade in trades if window.has(trade.time)]
    return replace(
        position,
        matching=matching,
        fees=sum(trade.fee for trade in inside),
        income=sum(trade.income for trade in inside),
        exceptions=[row for row in position.exceptions if row.fill is None or is_in(row.fill)],
    )


def _position_of(trade: Trade) -> tuple[str, str]:
    return trade.symbol, trade.currency
