"""The one loop under every method that consumes lots one after another: walk the trades, take lots, write matches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import text_of
from omc_pipeline.pnl.kinds import AT_COST
from omc_pipeline.pnl.policy import OversellPolicy
from omc_pipeline.pnl.result import Matching, OpenLot
from omc_pipeline.pnl.split import remaining_share
from omc_pipeline.pnl.trade import Lot, Matches, Piece, Trade

ZERO_BASIS = "zero_basis"


class LotQueue(Protocol):
    """The lots of a position in the order a method consumes them."""

    def add(self, lot: Lot, /) -> object:
        """Take a new lot in."""

    def best(self) -> Lot | None:
        """Return the lot to consume next, or None where nothing is held."""

    def drop(self) -> object:
        """Remove the lot that ``best`` answers; it is used up."""

    def lots(self) -> Iterable[Lot]:
        """Return the lots held, oldest first."""


def match_lots(trades: Sequence[Trade], queue: LotQueue, policy: OversellPolicy) -> Matching:
    """Match every sell to the lots its queue gives.

    Args:
        trades: One position, in the order of ``in_order``; of a long one, the next part.
        queue: The lots held before; holds those held afterwards.
        policy: What to do with units that were sold but not held.

    Raises:
        BadInputError: More is sold than held, and the policy is ``refuse``.
    """
    add, best, drop = queue.add, queue.best, queue.drop
    pieces: list[Piece] = []
    realized: dict[str, int] = {}
    unmatched: dict[str, int] = {}
    for trade in trades:
        if trade.side == "buy":
            if trade.acquired_at is None:
                add(Lot(trade))
            else:
                add_by_date(queue, Lot(trade))
            continue
        need = qty = trade.qty
        left = money = trade.money
        gain = 0
        rule = trade.kind if trade.kind in AT_COST else None
        while need and (lot := best()) is not None:
            if lot.qty <= need:
                take, cost = lot.qty, lot.cost
                drop()
            else:
                take, cost = need, lot.take(need)
            need -= take
            rest = remaining_share(money, need, qty) if need else 0
            brought = left - rest if rule is None else cost
            pieces.append((trade.id, lot.trade.id, take, cost, brought, lot.acquired_at, trade.time, rule))
            gain += brought - cost
            left = rest
        if need:
            unmatched[trade.id] = need
            gain += settle_oversell(trade, need, left, policy, pieces)
        realized[trade.id] = gain
    return Matching(Matches(pieces), [OpenLot.of(lot) for lot in queue.lots()], realized, unmatched)


def add_by_date(queue: LotQueue, lot: Lot) -> None:
    """Put a lot that was acquired earlier in its place among those held; a pool, which has no dates, takes it in as it comes."""
    held = list(queue.lots())
    if any(one.acquired_at is None for one in held):
        queue.add(lot)
        return
    while queue.best() is not None:
        queue.drop()
    for one in sorted([*held, lot], key=lambda each: each.acquired_at or each.trade.time):
        queue.add(one)


def settle_oversell(trade: Trade, qty: int, proceeds: int, policy: OversellPolicy, pieces: list[Piece]) -> int:
    """Apply the policy to the units of a sell that no lot covers, and answer their gain.

    Raises:
        BadInputError: The policy is ``refuse``.
    """
    if policy == "refuse":
        held = text_of(trade.qty - qty)
        raise BadInputError(
            f"sell {trade.id!r} of {text_of(trade.qty)} {trade.symbol} exceeds the {held} held at {trade.time.isoformat()}; "
            "add the missing buys, or choose the oversell policy exclude, zero_basis or, for a short position, short"
        )
    if policy == "exclude":
        return 0
    pieces.append((trade.id, None, qty, 0, proceeds, None, trade.time, ZERO_BASIS))
    return proceeds
