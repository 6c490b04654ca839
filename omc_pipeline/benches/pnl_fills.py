"""Invented fills for the benches of profit and loss: amounts with all their digits used, as columns and as trades."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from omc_pipeline.pnl.trade import Trade

if TYPE_CHECKING:
    from omc_pipeline.pnl.kernel.columns import Column
    from omc_pipeline.pnl.kernel.fills import Fills

FILLS_A_POSITION = 2_000
_SEED = 20_240_101
_T0 = datetime(2024, 1, 1, tzinfo=UTC)


def invented_fills(fills: int, positions: int) -> Fills:
    """Invent the fills of positions of equal size, slightly more buys than sells; about one sell in a hundred is beyond what is held.

    Quantities go to 74 coins, money to 166,000, prices to 74,000, each with 18 decimals.
    """
    import numpy as np

    from omc_pipeline.pnl.kernel.fills import fills_of

    chance = np.random.default_rng(_SEED)

    def column(high_words: int) -> Column:
        words = np.empty((fills, 2), np.int64)
        words[:, 0] = chance.integers(-(2**63), 2**63, fills)
        words[:, 1] = chance.integers(0, high_words, fills)
        return words

    offsets = np.linspace(0, fills, positions + 1).astype(np.int64)
    side = np.empty(fills, np.uint8)
    for first in range(0, fills, 1_000_000):
        block = side[first : first + 1_000_000]
        block[:] = chance.random(len(block)) < 0.48
    return fills_of(offsets, side, column(4), column(9_000), column(4_000))


def bought_first(fills: int) -> Fills:
    """Invent one position: half the fills buy, then the other half sell as much."""
    import numpy as np

    from omc_pipeline.pnl.kernel.fills import fills_of

    half = fills // 2
    bought = invented_fills(half, 1)
    side = np.repeat(np.array([0, 1], np.uint8), half)
    money, price = (np.concatenate([column, column]) for column in (bought.money, bought.price))
    return fills_of([0, 2 * half], side, np.concatenate([bought.qty, bought.qty[::-1]]), money, price)


def first_positions(given: Fills, fills: int) -> Fills:
    """Return the first positions, with about so many fills."""
    from omc_pipeline.pnl.kernel.fills import fills_of

    count = max(int((given.offsets <= fills).sum()) - 1, 1)
    end = int(given.offsets[count])
    return fills_of(given.offsets[: count + 1], given.side[:end], given.qty[:end], given.money[:end], given.price[:end])


def as_trades(given: Fills) -> list[list[Trade]]:
    """Unpack fills as the trades of positions; a trade's id is its row."""
    from omc_pipeline.pnl.kernel.columns import integers_of

    columns = (integers_of(column) for column in (given.qty, given.money, given.price))
    trades = [
        Trade(str(row), "BTC", "AUD", _T0 + timedelta(seconds=row), "sell" if side else "buy", *amounts)
        for row, (side, amounts) in enumerate(zip(given.side.tolist(), zip(*columns, strict=True), strict=True))
    ]
    ends = given.offsets.tolist()
    return [trades[first:end] for first, end in pairwise(ends)]
