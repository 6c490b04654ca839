"""Trades in, results out: group into positions, match each by a method, add up."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from omc_pipeline.pnl.methods import METHODS
from omc_pipeline.pnl.policy import Method, OversellPolicy
from omc_pipeline.pnl.result import PositionResult, oversell
from omc_pipeline.pnl.trade import Trade, in_order


def compute(trades: Iterable[Trade], method: Method, policy: OversellPolicy) -> list[PositionResult]:
    """Compute every position of a user, one for each symbol and currency.

    Args:
        trades: In any order; ids are unique.
        method: How sells find their lots.
        policy: What becomes of units sold that were not held.

    Returns:
        Positions by symbol and currency; empty for no trades.

    Raises:
        BadInputError: More is sold than held, and the policy is ``refuse``.
    """
    ordered = sorted(in_order(trades), key=_position_of)
    return [_position(list(group), method, policy) for _, group in groupby(ordered, key=_position_of)]


def _position_of(trade: Trade) -> tuple[str, str]:
    return trade.symbol, trade.currency


def _position(trades: list[Trade], method: Method, policy: OversellPolicy) -> PositionResult:
    symbol, currency = _position_of(trades[0])
    matching = METHODS[method](trades, policy)
    buys = [trade for trade in trades if trade.side == "buy"]
    return PositionResult(
        symbol=symbol,
        currency=currency,
        matching=matching,
        bought_qty=sum(buy.qty for buy in buys),
        bought=sum(buy.money for buy in buys),
        sold_qty=sum(trade.qty for trade in trades if trade.side == "sell"),
        fees=sum(trade.fee for trade in trades),
        income=sum(trade.income for trade in trades),
        exceptions=[oversell(symbol, sell, qty, policy) for sell, qty in matching.unmatched.items()],
    )
