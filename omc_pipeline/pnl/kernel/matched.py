"""What the kernel gives: matches, open lots, oversold units and totals of many positions, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from omc_pipeline.pnl.kernel.columns import Column, Rows, empty_column, to_arrow

if TYPE_CHECKING:
    import pyarrow as pa

POOL = -1
"""In place of a lot's row: the pool of the average."""
NO_LOT = -2
"""In place of a lot's row: units sold that no lot covered, at no cost."""


class MatchColumns(NamedTuple):
    """One row a match, in the engine's order; ``sell`` and ``lot`` are rows of the fills, or ``POOL`` or ``NO_LOT``."""

    ends: Rows
    sell: Rows
    lot: Rows
    qty: Column
    cost: Column
    proceeds: Column
    gain: Column


class OpenColumns(NamedTuple):
    """One row an open lot, oldest first.

    ``of_qty`` and ``of_cost`` are what the lot, or the pool when it was last poured into, held in whole: with ``qty`` all
    that a later run needs to carry on.
    """

    ends: Rows
    lot: Rows
    qty: Column
    cost: Column
    of_qty: Column
    of_cost: Column


class UnmatchedColumns(NamedTuple):
    """One row a sell of more than was held, and the units that no lot covered."""

    ends: Rows
    sell: Rows
    qty: Column


class TotalColumns(NamedTuple):
    """One row a position. ``qty`` and ``cost`` are held; ``bought`` is the cost of all buys; ``proceeds`` those of matches."""

    qty: Column
    cost: Column
    bought_qty: Column
    bought: Column
    sold_qty: Column
    unmatched_qty: Column
    proceeds: Column
    gain: Column


@dataclass(frozen=True, slots=True)
class Matched:
    """Results of all positions that the kernel computed, position after position.

    In each of ``matches``, ``open_lots`` and ``unmatched``, position ``p`` has the rows ``ends[p - 1]`` (of the first: 0) to
    below ``ends[p]``.

    Attributes:
        beyond: Positions whose sums of units or of money reach 1e38 units. They have no rows and zero totals here: the engine
            in Python integers computes them (``compute.by_oracle``), and who calls counts them.
    """

    matches: MatchColumns
    open_lots: OpenColumns
    unmatched: UnmatchedColumns
    totals: TotalColumns
    beyond: Rows

    def rows_of(self, ends: Rows, position: int) -> slice:
        """Return the rows of one position."""
        return slice(int(ends[position - 1]) if position else 0, int(ends[position]))

    def to_arrow(self) -> Mapping[str, pa.Table]:
        """View the results as tables ``matches``, ``open_lots``, ``unmatched`` and ``positions``, amounts without a copy.

        ``position`` numbers the positions, ``sell`` and ``lot`` the fills; ``lot`` is null where no single lot was consumed
        or is held: the pool of the average, and units sold at no cost, which ``at_no_cost`` tells apart.
        """
        import pyarrow as pa

        matches, opened, unmatched = self.matches, self.open_lots, self.unmatched
        no_cost = {"at_no_cost": pa.array(matches.lot == NO_LOT)}
        return {
            "matches": pa.table({**_keys(matches.ends, matches.sell, matches.lot), **_amounts(matches), **no_cost}),
            "open_lots": pa.table({**_keys(opened.ends, None, opened.lot), **_amounts(opened)}),
            "unmatched": pa.table({**_keys(unmatched.ends, unmatched.sell, None), **_amounts(unmatched)}),
            "positions": pa.table({"position": pa.array(np.arange(len(matches.ends))), **_amounts(self.totals)}),
        }


def _keys(ends: Rows, sell: Rows | None, lot: Rows | None) -> Mapping[str, pa.Array]:
    import pyarrow as pa

    keys = {"position": pa.array(np.repeat(np.arange(len(ends), dtype=np.int32), np.diff(ends, prepend=0)))}
    if sell is not None:
        keys["sell"] = pa.array(sell)
    if lot is not None:
        keys["lot"] = pa.array(lot, mask=lot < 0)
    return keys


def _amounts(columns: NamedTuple) -> Mapping[str, pa.Array]:
    return {name: to_arrow(column) for name, column in columns._asdict().items() if column.ndim == 2}


def reserve(positions: int, fills: int, buys: int) -> tuple[MatchColumns, OpenColumns, UnmatchedColumns, TotalColumns]:
    """Reserve room for results.

    A match uses up a lot or ends a sell, so there are never more matches than fills; memory is taken as rows are written.
    """

    def rows(length: int) -> Rows:
        return np.empty(length, np.int64)

    def columns(count: int, length: int) -> list[Column]:
        return [empty_column(length) for _ in range(count)]

    return (
        MatchColumns(np.zeros(positions, np.int64), rows(fills), rows(fills), *columns(4, fills)),
        OpenColumns(np.zeros(positions, np.int64), rows(buys), *columns(4, buys)),
        UnmatchedColumns(np.zeros(positions, np.int64), rows(fills - buys), empty_column(fills - buys)),
        TotalColumns(*(np.zeros((positions, 2), np.int64) for _ in range(8))),
    )
