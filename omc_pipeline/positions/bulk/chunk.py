"""A chunk of fills, with what was open of the coin that the chunk before it ended in, matched and ready to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from omc_pipeline.pnl.kernel.columns import Column, Rows, empty_column
from omc_pipeline.pnl.kernel.fills import BUY, SELL, fills_of
from omc_pipeline.pnl.kernel.matched import Matched
from omc_pipeline.pnl.kernel.run import match_fills
from omc_pipeline.pnl.policy import FeePolicy, Method, OversellPolicy
from omc_pipeline.positions.bulk.arithmetic import settled
from omc_pipeline.positions.bulk.days import DaySums, add_fills, add_matches, add_unmatched, no_sums
from omc_pipeline.positions.bulk.reading import ACCOUNT, ALGORITHM, FILL, SYMBOL, Bytes, FillColumns

TEXTS = (FILL, ACCOUNT, ALGORITHM)
DAY = 86_400_000_000
"""Microseconds."""


@dataclass(slots=True)
class Ledger:
    """Rows of fills as the kernel takes them, with their words: lots carried over first, then new fills.

    ``starts`` and ``lengths`` say where the texts of ``TEXTS`` lie in ``content``.
    """

    content: Bytes
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int32]
    side: npt.NDArray[np.uint8]
    time: Rows
    qty: Column
    money: Column
    price: Column
    remaining: Column
    fee: Column

    def __len__(self) -> int:
        return len(self.side)

    def rows(self, chosen: Rows) -> Ledger:
        """Return some rows, with a copy of just their texts."""
        lengths = self.lengths[chosen]
        sizes = np.maximum(lengths, 0).astype(np.int64)
        ends = np.cumsum(sizes).reshape(sizes.shape)
        begins = self.starts[chosen].ravel()
        at = np.repeat(begins - (ends - sizes).ravel(), sizes.ravel()) + np.arange(int(sizes.sum()))
        arrays = (getattr(self, name)[chosen] for name in ("side", "time", "qty", "money", "price", "remaining", "fee"))
        return Ledger(self.content[at], ends - sizes, lengths, *arrays)

    def followed_by(self, other: Ledger) -> Ledger:
        """Return these rows and then others."""
        if not len(self):
            return other
        arrays = [
            np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("side", "time", "qty", "money", "price", "remaining", "fee")
        ]
        return Ledger(
            np.concatenate([self.content, other.content]),
            np.concatenate([self.starts, other.starts + len(self.content)]),
            np.concatenate([self.lengths, other.lengths]),
            *arrays,
        )


NO_ROWS = np.empty(0, np.int64)


def empty_ledger() -> Ledger:
    """Return no rows."""
    none = empty_column(0)
    texts = np.empty((0, len(TEXTS)), np.int64), np.empty((0, len(TEXTS)), np.int32)
    return Ledger(np.empty(0, np.uint8), *texts, np.empty(0, np.uint8), NO_ROWS, none, none, none, none, none)


@dataclass(slots=True)
class Carry:
    """What one chunk leaves to the next of the coin it ended in.

    Attributes:
        symbol: Of the coin; empty before the first chunk.
        lots: Open lots, or the pool.
        day: Its last day, still open.
        sums: Of that day.
        trades: Of that day.
        before: Sums up to the beginning of that day.
        trades_before: The same of trades.
        last: Time of the last trade.
        matches: Written so far.
        checkpoint: Trades at the last checkpoint.
    """

    symbol: str = ""
    lots: Ledger = field(default_factory=empty_ledger)
    day: int = 0
    sums: DaySums = field(default_factory=lambda: no_sums(1))
    trades: int = 0
    before: DaySums = field(default_factory=lambda: no_sums(1))
    trades_before: int = 0
    last: int = 0
    matches: int = 0
    checkpoint: int = 0


class Chunk(NamedTuple):
    """A chunk, matched. ``offsets`` bound the rows of each coin; ``day_of`` numbers the days, -1 for rows of earlier chunks."""

    ledger: Ledger
    symbols: Sequence[str]
    offsets: Rows
    matched: Matched
    day_of: Rows
    days: Days


class Days(NamedTuple):
    """One row a day of a coin: which coin, which day, its trades, the time of its last trade, its sums."""

    position: Rows
    day: Rows
    trades: Rows
    last: Rows
    sums: DaySums


def matched_chunk(content: Bytes, fills: FillColumns, carry: Carry, method: Method, fees: FeePolicy, policy: OversellPolicy) -> Chunk:
    """Settle the fills of a chunk and match them, going on from what was carried over.

    Args:
        content: Where the texts of the fills lie.
        fills: By coin, in order of time; ties in any order.
        carry: Of the chunk before.
        method: One of the kernel's.
        fees: Where fees go.
        policy: What to do with units that were sold but not held.
    """
    first = _first_rows(content, fills)
    symbols = [bytes(content[at : at + size]).decode() for at, size in zip(*_where(fills, SYMBOL, first), strict=True)]
    fresh = _in_order(_ledger_of(content, fills, fees), first)
    carried = len(carry.lots)
    ledger = carry.lots.followed_by(fresh)
    starts = first + carried
    if carry.symbol and symbols and symbols[0] == carry.symbol:
        starts[0] = 0
    elif carry.symbol:
        starts, symbols = np.concatenate([[0], starts]), [carry.symbol, *symbols]
    offsets = np.append(starts, len(ledger))
    given = fills_of(offsets, ledger.side, ledger.qty, ledger.money, ledger.price if method in ("hifo", "lofo") else None, ledger.remaining)
    matched = match_fills(given, method, policy)
    day_of, days = _days(ledger, carried, offsets, carry)
    add_fills(days.sums, day_of, ledger.side, ledger.qty, ledger.money, ledger.fee)
    found, missing = matched.matches, matched.unmatched
    add_matches(days.sums, day_of, found.sell, found.lot, found.qty, found.cost, found.proceeds)
    add_unmatched(days.sums, day_of, missing.sell, missing.qty)
    return Chunk(ledger, symbols, offsets, matched, day_of, days)


def _where(fills: FillColumns, text: int, rows: Rows) -> tuple[list[int], list[int]]:
    return fills.starts[rows, text].tolist(), fills.lengths[rows, text].tolist()


def _first_rows(content: Bytes, fills: FillColumns) -> Rows:
    """Return the rows at which a coin begins."""
    from omc_pipeline.positions.bulk.reading import differs_from_last

    return np.flatnonzero(differs_from_last(content, fills.starts[:, SYMBOL], fills.lengths[:, SYMBOL]))


def _ledger_of(content: Bytes, fills: FillColumns, fees: FeePolicy) -> Ledger:
    qty, money, fee = settled(fills.is_sell, fills.fee_in_coin, fills.qty, fills.amount, fills.fee, expensed=fees == "expense")
    side = np.where(fills.is_sell == 1, SELL, BUY).astype(np.uint8)
    return Ledger(content, fills.starts[:, TEXTS], fills.lengths[:, TEXTS], side, fills.time, qty, money, fills.price, qty, fee)


def _in_order(ledger: Ledger, first: Rows) -> Ledger:
    """Order fills of the same instant: buys before sells, then by id."""
    same = np.zeros(len(ledger) + 1, bool)
    same[1:-1] = ledger.time[1:] == ledger.time[:-1]
    same[first] = False
    tied = np.flatnonzero(same[1:] & ~same[:-1])
    if not len(tied):
        return ledger
    order = np.arange(len(ledger))
    ends = np.flatnonzero(same[:-1] & ~same[1:]) + 1
    for begin, end in zip(tied.tolist(), ends.tolist(), strict=True):
        order[begin:end] = sorted(range(begin, end), key=lambda row: (ledger.side[row], _text(ledger, row, FILL)))
    names = ("starts", "lengths", "side", "time", "qty", "money", "price", "remaining", "fee")
    return Ledger(ledger.content, *(getattr(ledger, name)[order] for name in names))


def _text(ledger: Ledger, row: int, text: int) -> bytes:
    place = TEXTS.index(text)
    return bytes(ledger.content[ledger.starts[row, place] : ledger.starts[row, place] + max(ledger.lengths[row, place], 0)])


def _days(ledger: Ledger, carried: int, offsets: Rows, carry: Carry) -> tuple[Rows, Days]:
    """Number the days of each coin; the first is the one that the chunk before left open."""
    fresh = ledger.time[carried:]
    day = fresh // DAY
    position = np.repeat(np.arange(len(offsets) - 1), np.diff(np.maximum(offsets - carried, 0)))
    begins = np.ones(len(fresh), bool)
    begins[1:] = (day[1:] != day[:-1]) | (position[1:] != position[:-1])
    open_day = bool(carry.symbol)
    if open_day and len(fresh) and position[0] == 0 and day[0] == carry.day:
        begins[0] = False
    number = np.cumsum(begins) - 1 + open_day
    day_of = np.concatenate([np.full(carried, -1, np.int64), number])
    rows = np.flatnonzero(begins)
    count = len(rows) + open_day
    sums = no_sums(count)
    last, trades = np.zeros(count, np.int64), np.bincount(number, minlength=count)
    if open_day:
        last[0] = carry.last
        trades[0] += carry.trades
        for mine, theirs in zip(sums, carry.sums, strict=True):
            mine[0] = theirs[0]
    last[number] = fresh
    head = [0] * open_day
    return day_of, Days(
        np.concatenate([head, position[rows]]).astype(np.int64),
        np.concatenate([[carry.day] * open_day, day[rows]]).astype(np.int64),
        trades.astype(np.int64),
        last,
        sums,
    )
