"""The open lots of the position at hand, in the order a method consumes them; compiled.

Lots lie in slots, in the order they came. fifo moves its first slot, lifo its last, the average has one slot, and hifo and
lofo keep a heap of slots.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from omc_pipeline.pnl.kernel.columns import Column, Rows, empty_column
from omc_pipeline.pnl.kernel.division import remaining_share
from omc_pipeline.pnl.kernel.fills import Fills
from omc_pipeline.pnl.kernel.int128 import load, store
from omc_pipeline.pnl.kernel.jit import inlined
from omc_pipeline.pnl.kernel.matched import NO_LOT, POOL

FIFO, LIFO, HIFO, LOFO, AVERAGE = range(5)
FIRST, END, HEAP = range(3)
WHOLE_QTY, WHOLE_COST = range(2)


class Lots(NamedTuple):
    """Slots of lots, for the position with the most buys.

    Attributes:
        row: Of the fill that opened the lot; ``POOL``; ``NO_LOT`` where a heap's lot is used up.
        qty: Units left.
        cost: Their cost.
        heap_price: A binary heap, best first; hifo's prices are negated.
        heap_slot: The heap's slots; of equal prices, the oldest is best.
        pool: Quantity and cost of the pool when it was last poured into.
        at: First slot held, end of the slots, length of the heap.
    """

    row: Rows
    qty: Column
    cost: Column
    heap_price: Column
    heap_slot: Rows
    pool: Column
    at: Rows


def empty_lots(buys: int, method: int) -> Lots:
    """Reserve slots for so many buys; a heap only where the method has one."""
    heap = buys if method in (HIFO, LOFO) else 0
    slots = np.empty(buys, np.int64), empty_column(buys), empty_column(buys)
    return Lots(*slots, empty_column(heap), np.empty(heap, np.int64), empty_column(2), np.zeros(3, np.int64))


@inlined
def clear(lots: Lots) -> None:
    """Forget all lots."""
    lots.at[FIRST] = 0
    lots.at[END] = 0
    lots.at[HEAP] = 0


@inlined
def add(lots: Lots, fills: Fills, row: int, method: int) -> None:
    """Take a buy in, or what a checkpoint says is left of it."""
    qty, cost = load(fills.qty, row), load(fills.money, row)
    left, left_cost = qty, cost
    if fills.remaining.shape[0] > 0:
        left = load(fills.remaining, row)
        if left < qty:
            left_cost = remaining_share(cost, left, qty)
    if method == AVERAGE:
        _pour(lots, qty, cost, left, left_cost)
        return
    slot = lots.at[END]
    lots.at[END] = slot + 1
    lots.row[slot] = row
    store(lots.qty, slot, left)
    store(lots.cost, slot, left_cost)
    if method == HIFO:
        _push(lots, -load(fills.price, row), slot)
    elif method == LOFO:
        _push(lots, load(fills.price, row), slot)


@inlined
def _pour(lots: Lots, qty: int, cost: int, left: int, left_cost: int) -> None:
    """Pour into the pool: the split starts anew from the sum, and goes on as it was where the pool is only carried over."""
    if lots.at[END] > 0:
        left += load(lots.qty, 0)
        left_cost += load(lots.cost, 0)
        qty, cost = left, left_cost
    lots.at[END] = 1
    lots.row[0] = POOL
    store(lots.qty, 0, left)
    store(lots.cost, 0, left_cost)
    store(lots.pool, WHOLE_QTY, qty)
    store(lots.pool, WHOLE_COST, cost)


@inlined
def best(lots: Lots, method: int) -> int:
    """Return the slot to consume next, or -1 where nothing is held."""
    if method == FIFO:
        return int(lots.at[FIRST]) if lots.at[FIRST] < lots.at[END] else -1
    if method in (HIFO, LOFO):
        return int(lots.heap_slot[0]) if lots.at[HEAP] > 0 else -1
    return int(lots.at[END]) - 1


@inlined
def drop(lots: Lots, slot: int, method: int) -> None:
    """Remove the slot that ``best`` answers; its lot is used up."""
    if method == FIFO:
        lots.at[FIRST] += 1
    elif method in (HIFO, LOFO):
        lots.row[slot] = NO_LOT
        _pop(lots)
    else:
        lots.at[END] -= 1


@inlined
def take(lots: Lots, fills: Fills, slot: int, units: int) -> int:
    """Take fewer units than a lot has, and answer their cost."""
    rest, before = load(lots.qty, slot) - units, load(lots.cost, slot)
    kept = remaining_share(whole_cost(lots, fills, slot), rest, whole_qty(lots, fills, slot))
    store(lots.qty, slot, rest)
    store(lots.cost, slot, kept)
    return before - kept


@inlined
def whole_qty(lots: Lots, fills: Fills, slot: int) -> int:
    """Return the units that a lot's or the pool's money stood for."""
    return load(lots.pool, WHOLE_QTY) if lots.row[slot] == POOL else load(fills.qty, lots.row[slot])


@inlined
def whole_cost(lots: Lots, fills: Fills, slot: int) -> int:
    """Return that money."""
    return load(lots.pool, WHOLE_COST) if lots.row[slot] == POOL else load(fills.money, lots.row[slot])


@inlined
def _push(lots: Lots, price: int, slot: int) -> None:
    """Add to the heap: the newest of equal prices comes last, so only a better price moves up."""
    place = lots.at[HEAP]
    lots.at[HEAP] = place + 1
    while place > 0:
        above = (place - 1) >> 1
        if load(lots.heap_price, above) <= price:
            break
        store(lots.heap_price, place, load(lots.heap_price, above))
        lots.heap_slot[place] = lots.heap_slot[above]
        place = above
    store(lots.heap_price, place, price)
    lots.heap_slot[place] = slot


@inlined
def _pop(lots: Lots) -> None:
    """Remove the heap's best, and let its last find a place from the top down."""
    last = lots.at[HEAP] - 1
    lots.at[HEAP] = last
    price, slot = load(lots.heap_price, last), lots.heap_slot[last]
    place, below = 0, 1
    while below < last:
        if below + 1 < last and _before(lots, below + 1, load(lots.heap_price, below), lots.heap_slot[below]):
            below += 1
        if not _before(lots, below, price, slot):
            break
        store(lots.heap_price, place, load(lots.heap_price, below))
        lots.heap_slot[place] = lots.heap_slot[below]
        place, below = below, 2 * below + 1
    store(lots.heap_price, place, price)
    lots.heap_slot[place] = slot


@inlined
def _before(lots: Lots, place: int, price: int, slot: int) -> bool:
    """Tell whether an entry of the heap comes before a price and slot."""
    own = load(lots.heap_price, place)
    return own < price or (own == price and lots.heap_slot[place] < slot)
