"""What the kernel takes: the fills of many positions as columns, those of a position beside one another and in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.kernel.columns import BITS, Column, Rows, column_of, empty_column, from_arrow, one_chunk
from omc_pipeline.pnl.kinds import AT_COST
from omc_pipeline.pnl.trade import Trade

if TYPE_CHECKING:
    import pyarrow as pa

BUY, SELL, LEAVE = range(3)
"""Sides: an acquisition, a disposal, and what leaves at cost (a withdrawal or transfer), whose proceeds are its cost."""


class Fills(NamedTuple):
    """Fills grouped by position; within one in the order of ``trade.in_order``. Made by the functions below.

    Attributes:
        offsets: Position ``p`` has the rows ``offsets[p]`` to below ``offsets[p + 1]``.
        side: ``BUY``, ``SELL`` or ``LEAVE``, one byte each.
        qty: Units, not negative.
        money: Cost of a buy, proceeds of a sell; of either sign.
        price: What hifo and lofo compare, on any scale; empty where another method asks.
        remaining: Units left of a buy, for lots and pools carried over from a checkpoint; empty where all are whole.
    """

    offsets: Rows
    side: npt.NDArray[np.uint8]
    qty: Column
    money: Column
    price: Column
    remaining: Column


def fills_of(
    offsets: npt.ArrayLike,
    side: npt.ArrayLike,
    qty: Column,
    money: Column,
    price: Column | None = None,
    remaining: Column | None = None,
) -> Fills:
    """Put columns together; nothing is copied that has the right type already.

    Raises:
        BadInputError: Lengths differ, a side is unknown, or the offsets do not start at 0, rise, and end at the number of fills.
    """
    starts = np.ascontiguousarray(offsets, np.int64)
    sides = np.ascontiguousarray(side)
    sides = sides.view(np.uint8) if sides.dtype.itemsize == 1 else sides.astype(np.uint8)
    columns = [empty_column(0) if column is None else np.ascontiguousarray(column) for column in (qty, money, price, remaining)]
    for name, column in zip(("qty", "money", "price", "remaining"), columns, strict=True):
        if len(column) != len(sides) and (len(column) or name in ("qty", "money")):
            raise BadInputError(f"column {name!r} has {len(column)} rows for {len(sides)} fills")
    if sides.max(initial=0) > LEAVE:
        raise BadInputError(f"fill {sides.argmax()} has side {sides.max()}; sides are {BUY} buy, {SELL} sell, {LEAVE} leave at cost")
    if not len(starts) or starts[0] != 0 or starts[-1] != len(sides) or (np.diff(starts) < 0).any():
        raise BadInputError(f"offsets must start at 0, never fall, and end at {len(sides)}, the number of fills")
    return Fills(*(_sealed(array) for array in (starts, sides, *columns)))


def fills_from_arrow(table: pa.Table | pa.RecordBatch, offsets: npt.ArrayLike) -> Fills:
    """View the columns of an Arrow table as fills, without a copy where they lie in one chunk.

    Args:
        table: ``side`` (int8 or uint8), ``qty`` and ``money`` (decimal128(38, 18)); where needed ``price`` (decimal128 of any
            scale) and ``remaining`` (decimal128(38, 18)); no nulls.
        offsets: Where each position starts, and the end.

    Raises:
        BadInputError: A column is missing, of another type, or has nulls.
    """
    import pyarrow as pa

    missing = [name for name in ("side", "qty", "money") if name not in table.schema.names]
    if missing:
        raise BadInputError(f"column {missing[0]!r} is missing; there are {', '.join(table.schema.names)}")
    side = table["side"]
    if side.type not in (pa.int8(), pa.uint8()) or side.null_count:
        raise BadInputError(f"column 'side' is {side.type} with {side.null_count} nulls; it must be int8 or uint8 without any")
    scales: dict[str, int | None] = {"qty": 18, "money": 18, "price": None, "remaining": 18}
    columns = {name: from_arrow(name, table[name], scale) for name, scale in scales.items() if name in table.schema.names}
    return fills_of(offsets, one_chunk(side).to_numpy(), **columns)


def fills_of_trades(positions: Sequence[Sequence[Trade]], *, priced: bool = True) -> Fills:
    """Pack the trades of positions.

    Args:
        positions: Each in the order of ``trade.in_order``.
        priced: Whether prices are compared. Those beyond 128 bits are replaced by their ranks, which compare alike.

    Raises:
        OverflowError: Units or money of a trade do not fit 128 bits.
    """
    trades = [trade for position in positions for trade in position]
    prices = [trade.price for trade in trades] if priced else []
    if any(price >> BITS for price in prices):
        rank = {price: place for place, price in enumerate(sorted(set(prices)))}
        prices = [rank[price] for price in prices]
    return fills_of(
        np.cumsum([0, *(len(position) for position in positions)]),
        np.array([BUY if trade.side == "buy" else LEAVE if trade.kind in AT_COST else SELL for trade in trades], np.uint8),
        column_of([trade.qty for trade in trades]),
        column_of([trade.money for trade in trades]),
        column_of(prices) if priced else None,
    )


def _sealed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """View an array as read-only: Arrow's are, and compiled code is made for one kind only."""
    view = array.view()
    view.flags.writeable = False
    return view
