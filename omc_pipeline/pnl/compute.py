"""Trades in, results out: group into positions, match each by a method, add up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, tzinfo
from itertools import groupby
from typing import TYPE_CHECKING

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.accounts import Accounts
from omc_pipeline.pnl.engine import LotQueue
from omc_pipeline.pnl.methods import METHODS, QUEUES
from omc_pipeline.pnl.methods.ca import match_ca
from omc_pipeline.pnl.methods.uk import match_uk
from omc_pipeline.pnl.migrations import MIGRATE, migrated
from omc_pipeline.pnl.policy import LotPolicy, Method, OversellPolicy
from omc_pipeline.pnl.result import Matching, PnlException, PositionResult, oversell
from omc_pipeline.pnl.short import match_with_shorts
from omc_pipeline.pnl.trade import Trade, in_order

if TYPE_CHECKING:
    from omc_pipeline.pnl.kernel.choice import Engine


def compute(
    trades: Iterable[Trade],
    method: Method,
    policy: OversellPolicy,
    lots: LotPolicy = "universal",
    engine: Engine | None = None,
    zone: tzinfo = UTC,
    exceptions: list[PnlException] | None = None,
) -> list[PositionResult]:
    """Compute every position of a user, one for each symbol and currency.

    Args:
        trades: In any order; ids are unique.
        method: How sells find their lots.
        policy: What to do with units that were sold but not held.
        lots: Whether a sell may take lots of another account.
        engine: Which one matches; None: that in Python integers.
        zone: Whose days the methods of a country count.
        exceptions: Takes in what is found beside the positions' own; None: nobody asks.

    Returns:
        Positions by symbol and currency; empty for no trades.

    Raises:
        BadInputError: More is sold than held, and the policy is ``refuse``; or the method knows no accounts.
    """

    def one(own: Sequence[Trade]) -> Matching:
        return match(own, method, policy, lots, zone)

    given = trades if isinstance(trades, Sequence) else list(trades)
    if any(trade.kind == MIGRATE for trade in given):
        given, found = migrated(given, one)
        if exceptions is not None:
            exceptions += found
    ordered = sorted(in_order(given), key=_position_of)
    positions = [list(group) for _, group in groupby(ordered, key=_position_of)]
    matchings = map(one, positions) if engine is None else engine.match(positions, method, policy, lots, one)
    return [_position(own, matching, policy) for own, matching in zip(positions, matchings, strict=True)]


def match(trades: Sequence[Trade], method: Method, policy: OversellPolicy, lots: LotPolicy = "universal", zone: tzinfo = UTC) -> Matching:
    """Match one position, in the order of ``in_order``; raises as ``compute`` does."""
    if policy == "short":
        if lots != "universal" or method not in QUEUES:
            raise BadInputError(f"short positions are matched lot by lot across all accounts; choose {', '.join(QUEUES)} with them")
        return match_with_shorts(trades, QUEUES[method])
    if lots == "universal":
        if method == "uk":
            return match_uk(trades, policy, zone=zone)
        if method == "ca":
            return match_ca(trades, policy, zone)
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
