"""Trades in, results out: group into positions, match each by a method, add up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.accounts import Accounts
from omc_pipeline.pnl.engine import LotQueue
from omc_pipeline.pnl.methods import METHODS, QUEUES
from omc_pipeline.pnl.policy import LotPolicy, Method, OversellPolicy
from omc_pipeline.pnl.result import Matching, PositionResult, oversell
from omc_pipeline.pnl.trade import Trade, in_order

if TYPE_CHECKING:
    from omc_pipeline.pnl.kernel.choice import Engine


def compute(
    trades: Iterable[Trade], method: Method, policy: OversellPolicy, lots: LotPolicy = "universal", engine: Engine | None = None
) -> list[PositionResult]:
    """Compute every position of a user, one for each symbol and currency.

    Args:
        trades: In any order; ids are unique.
        method: How sells find their lots.
        policy: What becomes of units sold that were not held.
        lots: Whether a sell may take lots of another account.
        engine: Which one matches; None: that in Python integers.

    Returns:
        Positions by symbol and currency; empty for no trades.

    Raises:
        BadInputError: More is sold than held, and the policy is ``refuse``; or the method knows no accounts.
    """
    ordered = sorted(in_order(trades), key=_position_of)
    positions = [list(group) for _, group in groupby(ordered, key=_position_of)]

    def one(own: Sequence[Trade]) -> Matching:
        return match(own, method, policy, lots)

    matchings = map(one, positions) if engine is None else engine.match(positions, method, policy, lots, one)
    return [_position(own, matching, policy) for own, matching in zip(positions, matchings, strict=True)]


def match(trades: Sequence[Trade], method: Method, policy: OversellPolicy, lots: LotPolicy = "universal") -> Matching:
    """Match one position, in the order of ``in_order``; raises as ``compute`` does."""
    if lots == "universal":
        return METHODS[method](trades, policy)
    return Accounts(queue_of(method)).match(trades, policy)


def queue_of(method: Method) -> Callable[[], LotQueue]:
    """Return what makes the empty queue of a method.

    Raises:
        BadInputError: The method has none: all that a person holds is one pool.
    """
    if method not in QUEUES:
        raise BadInputError(f"method {method!r} pools all accounts by law; use the lot policy universal with it")
    return QUEUES[method]


def _position_of(trade: Trade) -> tuple[str, str]:
    return trade.symbol, trade.currency


def _position(trades: Sequence[Trade], matching: Matching, policy: OversellPolicy) -> PositionResult:
    symbol, currency = _position_of(trades[0])
    moved = {trade.id for trade in trades if trade.kind == "transfer"}
    buys = [trade for trade in trades if trade.side == "buy"]
    return PositionResult(
        symbol=symbol,
        currency=currency,
        matching=matching,
        bought_qty=sum(buy.qty for buy in buys),
        bought=sum(buy.money for buy in buys),
        sold_qty=sum(matching.unmatched.get(t.id, 0) if t.id in moved else t.qty for t in trades if t.side == "sell"),
        fees=sum(trade.fee for trade in trades),
        income=sum(trade.income for trade in trades),
        exceptions=[oversell(symbol, sell, qty, policy) for sell, qty in matching.unmatched.items()],
    )
