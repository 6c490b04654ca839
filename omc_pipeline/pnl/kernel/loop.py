"""The loop of ``pnl.engine`` in compiled code, over many positions; it must answer the same in every bit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from omc_pipeline.pnl.kernel.columns import Column, Rows
from omc_pipeline.pnl.kernel.division import remaining_share
from omc_pipeline.pnl.kernel.fills import BUY, LEAVE, Fills
from omc_pipeline.pnl.kernel.int128 import integer, limit, load, store
from omc_pipeline.pnl.kernel.jit import compiled, inlined
from omc_pipeline.pnl.kernel.lots import END, FIRST, Lots, add, best, clear, drop, take, whole_cost, whole_qty
from omc_pipeline.pnl.kernel.matched import NO_LOT, MatchColumns, OpenColumns, TotalColumns, UnmatchedColumns

FITS, BEYOND, INVALID = range(3)
EXCLUDE, ZERO_BASIS, REFUSE = range(3)
MATCHES, OPEN, UNMATCHED = range(3)


@compiled
def survey(fills: Fills, states: npt.NDArray[np.int8], buys: Rows, totals: TotalColumns) -> None:
    """Add up what every position bought and sold, and say which fit.

    Args:
        fills: All positions.
        states: Out: ``FITS``; ``BEYOND`` where a sum of units or of magnitudes of money reaches 1e38; ``INVALID`` where a
            quantity is negative or a remainder is not between 0 and its quantity.
        buys: Out: numbers of buys.
        totals: Out: what was bought and sold, where it fits.
    """
    for position in range(len(states)):
        bought_qty, bought, sold_qty, units, money = integer(0), integer(0), integer(0), integer(0), integer(0)
        for row in range(fills.offsets[position], fills.offsets[position + 1]):
            qty, amount = load(fills.qty, row), load(fills.money, row)
            buys[position] += fills.side[row] == BUY
            if not _is_valid(fills, row, qty):
                states[position] = INVALID
                break
            size = -amount if amount < integer(0) else amount
            if size < integer(0) or qty >= limit() - units or size >= limit() - money:
                states[position] = BEYOND
                continue
            units += qty
            money += size
            if fills.side[row] == BUY:
                bought_qty += qty
                bought += amount
            else:
                sold_qty += qty
        if states[position] == FITS:
            store(totals.bought_qty, position, bought_qty)
            store(totals.bought, position, bought)
            store(totals.sold_qty, position, sold_qty)


@inlined
def _is_valid(fills: Fills, row: int, qty: int) -> bool:
    if qty < integer(0):
        return False
    if fills.remaining.shape[0] == 0 or fills.side[row] != BUY:
        return True
    left = load(fills.remaining, row)
    return integer(0) <= left and left <= qty


@compiled
def match_positions(
    fills: Fills,
    states: npt.NDArray[np.int8],
    method: int,
    policy: int,
    lots: Lots,
    count: Rows,
    matches: MatchColumns,
    opened: OpenColumns,
    unmatched: UnmatchedColumns,
    totals: TotalColumns,
) -> int:
    """Match every position that fits.

    Args:
        fills: All positions.
        states: Of ``survey``.
        method: Of ``lots``.
        policy: ``EXCLUDE``, ``ZERO_BASIS`` or ``REFUSE``.
        lots: Room for the open lots of one position.
        count: Out: numbers of matches, open lots and sells beyond what was held; zeros at first.
        matches: Out.
        opened: Out.
        unmatched: Out.
        totals: Out: all but what ``survey`` wrote.

    Returns:
        The row of the first sell that is refused, or -1.
    """
    for position in range(len(states)):
        if states[position] == FITS:
            clear(lots)
            for row in range(fills.offsets[position], fills.offsets[position + 1]):
                if fills.side[row] == BUY:
                    add(lots, fills, row, method)
                    continue
                need = _sell(fills, row, method, lots, count, matches)
                if need > integer(0):
                    if policy == REFUSE:
                        return row
                    _oversell(fills, row, need, policy, count, matches, unmatched)
            _close(fills, position, lots, count, matches, opened, unmatched, totals)
        matches.ends[position] = count[MATCHES]
        opened.ends[position] = count[OPEN]
        unmatched.ends[position] = count[UNMATCHED]
    return -1


@inlined
def _sell(fills: Fills, row: int, method: int, lots: Lots, count: Rows, matches: MatchColumns) -> int:
    """Match one sell, and answer the units that no lot covers."""
    need, money = load(fills.qty, row), load(fills.money, row)
    left, at_cost = money, fills.side[row] == LEAVE
    while need > integer(0):
        slot = best(lots, method)
        if slot < 0:
            break
        lot, have, cost = lots.row[slot], load(lots.qty, slot), load(lots.cost, slot)
        if have <= need:
            drop(lots, slot, method)
        else:
            have, cost = need, take(lots, fills, slot, need)
        need -= have
        rest = remaining_share(money, need, load(fills.qty, row)) if need > integer(0) else integer(0)
        _write(count, matches, row, lot, have, cost, cost if at_cost else left - rest)
        left = rest
    return need


@inlined
def _write(count: Rows, matches: MatchColumns, sell: int, lot: int, qty: int, cost: int, proceeds: int) -> None:
    place = count[MATCHES]
    count[MATCHES] = place + 1
    matches.sell[place] = sell
    matches.lot[place] = lot
    store(matches.qty, place, qty)
    store(matches.cost, place, cost)
    store(matches.proceeds, place, proceeds)
    store(matches.gain, place, proceeds - cost)


@inlined
def _oversell(fills: Fills, row: int, need: int, policy: int, count: Rows, matches: MatchColumns, unmatched: UnmatchedColumns) -> None:
    """Note units that no lot covers; at zero basis, their share of the proceeds is all gain."""
    place = count[UNMATCHED]
    count[UNMATCHED] = place + 1
    unmatched.sell[place] = row
    store(unmatched.qty, place, need)
    if policy == ZERO_BASIS:
        proceeds = remaining_share(load(fills.money, row), need, load(fills.qty, row))
        _write(count, matches, row, NO_LOT, need, integer(0), proceeds)


@inlined
def _close(
    fills: Fills,
    position: int,
    lots: Lots,
    count: Rows,
    matches: MatchColumns,
    opened: OpenColumns,
    unmatched: UnmatchedColumns,
    totals: TotalColumns,
) -> None:
    """Write the open lots and the totals of a position."""
    first = opened.ends[position - 1] if position > 0 else 0
    for slot in range(lots.at[FIRST], lots.at[END]):
        if lots.row[slot] == NO_LOT:
            continue
        place = count[OPEN]
        count[OPEN] = place + 1
        opened.lot[place] = lots.row[slot]
        store(opened.qty, place, load(lots.qty, slot))
        store(opened.cost, place, load(lots.cost, slot))
        store(opened.of_qty, place, whole_qty(lots, fills, slot))
        store(opened.of_cost, place, whole_cost(lots, fills, slot))
    store(totals.qty, position, _sum(opened.qty, first, count[OPEN]))
    store(totals.cost, position, _sum(opened.cost, first, count[OPEN]))
    first = unmatched.ends[position - 1] if position > 0 else 0
    store(totals.unmatched_qty, position, _sum(unmatched.qty, first, count[UNMATCHED]))
    first = matches.ends[position - 1] if position > 0 else 0
    store(totals.proceeds, position, _sum(matches.proceeds, first, count[MATCHES]))
    store(totals.gain, position, _sum(matches.gain, first, count[MATCHES]))


@inlined
def _sum(column: Column, first: int, end: int) -> int:
    total = integer(0)
    for place in range(first, end):
        total += load(column, place)
    return total
