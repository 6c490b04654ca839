"""Sums over the days of positions, and how they grow from day to day; compiled. The words are those of ``positions.sums``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from omc_pipeline.pnl.kernel.columns import Column, Rows
from omc_pipeline.pnl.kernel.fills import BUY
from omc_pipeline.pnl.kernel.int128 import integer, load, store
from omc_pipeline.pnl.kernel.jit import compiled
from omc_pipeline.pnl.kernel.matched import NO_LOT


class DaySums(NamedTuple):
    """One row a day of a position, in the order of ``Sums`` without its number of trades."""

    bought_qty: Column
    bought: Column
    sold_qty: Column
    matched_qty: Column
    unmatched_qty: Column
    proceeds: Column
    cost: Column
    fees: Column
    income: Column


def no_sums(rows: int) -> DaySums:
    """Return sums of nothing."""
    return DaySums(*(np.zeros((rows, 2), np.int64) for _ in DaySums._fields))


@compiled
def add_fills(sums: DaySums, day_of: Rows, side: npt.NDArray[np.uint8], qty: Column, money: Column, fee: Column) -> None:
    """Add fills to their days; those of no day (-1) were added before."""
    for row in range(len(day_of)):
        day = day_of[row]
        if day < 0:
            continue
        store(sums.fees, day, load(sums.fees, day) + load(fee, row))
        if side[row] == BUY:
            store(sums.bought_qty, day, load(sums.bought_qty, day) + load(qty, row))
            store(sums.bought, day, load(sums.bought, day) + load(money, row))
        else:
            store(sums.sold_qty, day, load(sums.sold_qty, day) + load(qty, row))


@compiled
def add_matches(sums: DaySums, day_of: Rows, sell: Rows, lot: Rows, qty: Column, cost: Column, proceeds: Column) -> None:
    """Add matches to the days of their sells."""
    for row in range(len(sell)):
        day = day_of[sell[row]]
        store(sums.proceeds, day, load(sums.proceeds, day) + load(proceeds, row))
        if lot[row] != NO_LOT:
            store(sums.matched_qty, day, load(sums.matched_qty, day) + load(qty, row))
            store(sums.cost, day, load(sums.cost, day) + load(cost, row))


@compiled
def add_unmatched(sums: DaySums, day_of: Rows, sell: Rows, qty: Column) -> None:
    """Add units that no lot covered to the days of their sells."""
    for row in range(len(sell)):
        day = day_of[sell[row]]
        store(sums.unmatched_qty, day, load(sums.unmatched_qty, day) + load(qty, row))


@compiled
def run_up(column: Column, is_first: npt.NDArray[np.bool_], before: Column, out: Column) -> None:
    """Add up a column within each position; ``before`` has the one value that the first position starts from."""
    total = load(before, 0)
    for row in range(len(column)):
        if is_first[row] and row > 0:
            total = integer(0)
        total = total + load(column, row)
        store(out, row, total)


@compiled
def due(is_first: npt.NDArray[np.bool_], month: Rows, trades: Rows, since: int, every: int, out: npt.NDArray[np.bool_]) -> int:
    """Mark the days before which a checkpoint is made, and answer the trades at the last one of the last position.

    Args:
        is_first: Whether a day is the first of its position.
        month: Of each day.
        trades: Of the position up to the end of each day.
        since: Trades at the last checkpoint of the first position.
        every: A checkpoint is due after so many trades.
        out: Which days.
    """
    for row in range(len(month)):
        out[row] = False
        if is_first[row]:
            since = since if row == 0 else 0
        elif month[row] != month[row - 1] or trades[row - 1] - since >= every:
            out[row] = True
            since = trades[row - 1]
    return since
