"""The trades of a position matched part by part, the lots between the parts kept in memory: read once, written once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from omc_pipeline.pnl.accounts import Accounts
from omc_pipeline.pnl.amounts import text_of
from omc_pipeline.pnl.engine import match_lots
from omc_pipeline.pnl.methods import QUEUES
from omc_pipeline.pnl.methods.average import Pool
from omc_pipeline.pnl.methods.uk import match_uk
from omc_pipeline.pnl.result import Matching
from omc_pipeline.pnl.trade import Lot, Trade
from omc_pipeline.positions.lots import POOLED, HeldLots, Pools, lot_cells, read_lots

if TYPE_CHECKING:
    from omc_pipeline.positions.run_context import RunContext

TAKE = """
UPDATE pnl.lot l SET open_qty = taken.qty, open_cost = taken.cost, run_id = %s
FROM unnest(%s::numeric[], %s::numeric[], %s::timestamptz[], %s::text[], %s::text[]) AS taken (qty, cost, acquired_at, lot_fill, queue)
WHERE l.position_id = %s AND l.acquired_at = taken.acquired_at AND l.lot_fill = taken.lot_fill AND l.queue = taken.queue
"""


class Matcher(Protocol):
    """Matches the trades of a position, part after part."""

    def match(self, trades: Sequence[Trade]) -> Matching:
        """Match the next part."""

    def pools(self) -> str | None:
        """Write the pools as they are now, for a checkpoint; None where the method has lots."""

    def keep(self) -> dict[str, str]:
        """Write what became of the lots, and answer who decided on them, by lot."""


def matcher_of(context: RunContext, position_id: int, trades: Sequence[Trade]) -> Matcher:
    """Return what matches these trades by the basis of a book, in parts."""
    if context.basis.method in POOLED:
        return _Pooled(context, position_id)
    if context.basis.lot_policy == "account":
        return _ByAccount(context, position_id, trades)
    return _Universal(context, position_id, trades)


class _Universal:
    def __init__(self, context: RunContext, position_id: int, trades: Sequence[Trade]) -> None:
        self._context, self._position_id, self._trades = context, position_id, trades
        self._held = _read(context, position_id, "", trades)

    def match(self, trades: Sequence[Trade]) -> Matching:
        return match_lots(trades, self._held.queue, self._context.basis.oversell_policy)

    def pools(self) -> None:
        return None

    def keep(self) -> dict[str, str]:
        bought = [("", trade, trade.time) for trade in self._trades if trade.side == "buy"]
        return _keep(self._context, self._position_id, bought, {"": self._held})


class _ByAccount:
    def __init__(self, context: RunContext, position_id: int, trades: Sequence[Trade]) -> None:
        self._context, self._position_id, self._trades = context, position_id, trades
        self._accounts = Accounts(QUEUES[context.basis.method])
        names = {trade.account for trade in trades} | {trade.to_account for trade in trades if trade.kind == "transfer"}
        self._held = {name: _read(context, position_id, name, trades) for name in sorted(names)}
        for name, held in self._held.items():
            self._accounts.add(name, held.lots)

    def match(self, trades: Sequence[Trade]) -> Matching:
        return self._accounts.match(trades, self._context.basis.oversell_policy)

    def pools(self) -> None:
        return None

    def keep(self) -> dict[str, str]:
        for name, queue in self._accounts.queues.items():
            self._held.setdefault(name, HeldLots(queue)).queue = queue
        bought: list[tuple[str, Trade, datetime | None]]
        bought = [(trade.account, trade, trade.time) for trade in self._trades if trade.side == "buy"]
        bought += [(lot.trade.account, lot.trade, lot.acquired_at) for lot in self._accounts.carried]
        return _keep(self._context, self._position_id, bought, self._held)


class _Pooled:
    """Pools are small: read whole, replaced as a whole."""

    def __init__(self, context: RunContext, position_id: int) -> None:
        self._context, self._position_id = context, position_id
        context.lots.flush()
        self._pools = Pools.read(context.connection, position_id)

    def match(self, trades: Sequence[Trade]) -> Matching:
        policy, pools = self._context.basis.oversell_policy, self._pools.pools
        if self._context.basis.method == "uk":
            return match_uk(trades, policy, pools.setdefault("", Pool()), self._context.zone)
        if self._context.basis.lot_policy == "universal":
            return match_lots(trades, pools.setdefault("", Pool()), policy)
        accounts = Accounts(Pool)
        accounts.queues.update(pools)
        matching = accounts.match(trades, policy)
        pools.update({name: queue for name, queue in accounts.queues.items() if isinstance(queue, Pool)})
        return matching

    def pools(self) -> str:
        return self._pools.document()

    def keep(self) -> dict[str, str]:
        replace_pools(self._context, self._position_id, self._pools)
        return {}


def replace_pools(context: RunContext, position_id: int, pools: Pools) -> None:
    """Write the pools of a position in place of those it had."""
    context.connection.execute("DELETE FROM pnl.lot WHERE position_id = %s", (position_id,))
    cells = lot_cells(pools.lots(), context.basis.method)
    context.lots.add((position_id, context.user_id, context.run_id, *row) for row in cells)


def _read(context: RunContext, position_id: int, queue: str, trades: Sequence[Trade]) -> HeldLots:
    units = sum(trade.qty for trade in trades if trade.side == "sell" and queue in ("", trade.account))
    context.lots.flush()
    return read_lots(context.connection, position_id, queue, context.basis.method, units)


def _keep(
    context: RunContext, position_id: int, bought: Iterable[tuple[str, Trade, datetime | None]], held: Mapping[str, HeldLots]
) -> dict[str, str]:
    """Write what is left of the lots that were read, and new lots with what is left of them."""
    taken = [
        (text_of(lot.qty), text_of(lot.cost), lot.acquired_at, lot.trade.id, queue)
        for queue, lots in held.items()
        for lot in lots.changed()
    ]
    if taken:
        context.connection.execute(TAKE, (context.run_id, *map(list, zip(*taken, strict=True)), position_id))
    remaining = {id(lot.trade): lot for lots in held.values() for lot in lots.queue.lots()}
    fresh = [(queue, remaining.get(id(trade)) or _used_up(trade, acquired_at)) for queue, trade, acquired_at in bought]
    context.lots.add((position_id, context.user_id, context.run_id, *row) for row in lot_cells(fresh, context.basis.method))
    known = [lot for lots in held.values() for lot in lots.lots] + [lot for _, lot in fresh]
    return {lot.trade.id: lot.trade.algorithm for lot in known if lot.trade.algorithm}


def _used_up(trade: Trade, acquired_at: datetime | None) -> Lot:
    lot = Lot(trade)
    lot.acquired_at, lot.qty, lot.cost = acquired_at, 0, 0
    return lot
