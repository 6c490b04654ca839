"""The lots of a position between runs: only those are read that the next sells can reach, only those are written that changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from omc_pipeline.pnl.amounts import PRICE_DECIMALS, exact_units, text_of
from omc_pipeline.pnl.engine import LotQueue
from omc_pipeline.pnl.methods import QUEUES
from omc_pipeline.pnl.methods.average import Pool
from omc_pipeline.pnl.policy import Method
from omc_pipeline.pnl.trade import POOL, Lot, Trade
from omc_pipeline.positions.fills import BEGINNING

if TYPE_CHECKING:
    import psycopg

_FETCH = 500
_PRICE_UNIT: int = pow(10, PRICE_DECIMALS)
_ORDER = "rank, acquired_at, lot_fill"
OPEN_LOTS = f"""
SELECT lot_fill, acquired_at, arrived_at, account_id, algorithm_id, rank, qty, cost, open_qty, open_cost FROM pnl.lot
WHERE position_id = %s AND queue = %s AND open_qty > 0 ORDER BY {_ORDER}
"""
OPEN_LOTS_NEWEST_FIRST = OPEN_LOTS.replace(_ORDER, "rank DESC, acquired_at DESC, lot_fill DESC")
POOLED: frozenset[Method] = frozenset({"avg", "uk"})


@dataclass(slots=True)
class HeldLots:
    """The lots read of one queue, and what of each was left then."""

    queue: LotQueue
    before: dict[int, int] = field(default_factory=dict)
    lots: list[Lot] = field(default_factory=list)

    def changed(self) -> list[Lot]:
        """Return the lots of which something was taken; what was used up is empty, whatever the engine left in it."""
        left = {id(lot) for lot in self.queue.lots()}
        for lot in self.lots:
            if id(lot) not in left:
                lot.qty, lot.cost = 0, 0
        return [lot for lot in self.lots if self.before[id(lot)] != lot.qty]


def read_lots(connection: psycopg.Connection[Any], position_id: int, queue: str, method: Method, units: int) -> HeldLots:
    """Read the open lots that sells of so many units can reach, in the order the method consumes them."""
    found: list[Lot] = []
    reached = 0
    if units:
        with connection.cursor(name="lots") as cursor:
            cursor.execute(OPEN_LOTS_NEWEST_FIRST if method == "lifo" else OPEN_LOTS, (position_id, queue))
            while reached < units and (rows := cursor.fetchmany(_FETCH)):
                found += [lot_of(row) for row in rows]
                reached += sum(lot.qty for lot in found[-len(rows) :])
    found.sort(key=lambda lot: (lot.acquired_at or BEGINNING, lot.trade.id))
    empty = QUEUES[method]()
    for lot in found:
        empty.add(lot)
    return HeldLots(empty, {id(lot): lot.qty for lot in found}, found)


def lot_of(row: Sequence[Any]) -> Lot:
    """Make a lot of a row of ``OPEN_LOTS``."""
    identity, acquired_at, arrived_at, account, algorithm, rank, *numbers = row
    qty, cost, open_qty, open_cost = (exact_units(number) for number in numbers)
    price = exact_units(rank.copy_abs(), PRICE_DECIMALS)
    lot = Lot(Trade(identity, "", "", arrived_at, "buy", qty, cost, price, account=account, algorithm=algorithm))
    lot.qty, lot.cost, lot.acquired_at = open_qty, open_cost, acquired_at
    return lot


def rank_of(lot: Lot, method: Method) -> str:
    """Return what the method goes by before time, as a decimal number."""
    if method not in ("hifo", "lofo") or not lot.trade.price:
        return "0"
    whole, fraction = divmod(lot.trade.price, _PRICE_UNIT)
    return f"{'-' if method == 'hifo' else ''}{whole}.{fraction:0{PRICE_DECIMALS}d}"


class Pools:
    """The pools of an averaging method, one a queue; small enough to be kept whole in every checkpoint."""

    def __init__(self, pools: Mapping[str, Pool]) -> None:
        self.pools = dict(pools)

    @classmethod
    def parse(cls, document: Mapping[str, Sequence[str]] | None) -> Pools:
        """Read pools from a checkpoint."""
        return cls({queue: Pool(_pool_lot(*map(int, numbers))) for queue, numbers in (document or {}).items()})

    @classmethod
    def read(cls, connection: psycopg.Connection[Any], position_id: int) -> Pools:
        """Read the pools as they are."""
        rows = connection.execute(
            "SELECT queue, qty, cost, open_qty FROM pnl.lot WHERE position_id = %s AND open_qty > 0", (position_id,)
        ).fetchall()
        return cls({queue: Pool(_pool_lot(*map(exact_units, numbers))) for queue, *numbers in rows})

    def document(self) -> str:
        """Write the pools for a checkpoint: what each held when it was last poured into, and what is left of it."""
        return json.dumps({queue: [str(n) for n in (lot.trade.qty, lot.trade.money, lot.qty)] for queue, lot in self.lots()})

    def lots(self) -> list[tuple[str, Lot]]:
        """Return the one lot of each pool that holds anything."""
        return [(queue, lot) for queue, pool in self.pools.items() for lot in pool.lots()]


def _pool_lot(qty: int, cost: int, left: int) -> Lot:
    lot = Lot(Trade(POOL, "", "", BEGINNING, "buy", qty, cost))
    lot.take(qty - left)
    lot.acquired_at = None
    return lot


def lot_cells(lots: Iterable[tuple[str, Lot]], method: Method) -> Iterable[tuple[Any, ...]]:
    """Return the columns ``LOT_COLUMNS`` of lots, each with the queue it lies in."""
    for queue, lot in lots:
        trade = lot.trade
        yield (
            lot.acquired_at or BEGINNING, trade.id, trade.account, trade.algorithm, queue, rank_of(lot, method), trade.time,
            text_of(trade.qty), text_of(trade.money), text_of(lot.qty), text_of(lot.cost),
        )  # fmt: skip


LOT_COLUMNS = "acquired_at, lot_fill, account_id, algorithm_id, queue, rank, arrived_at, qty, cost, open_qty, open_cost"
