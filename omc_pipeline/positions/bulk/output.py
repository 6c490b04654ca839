"""What is written of a matched chunk: encoded rows by table, the sums of coins that ended, what the next chunk needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from omc_pipeline.pnl.kernel.columns import Column, Rows, empty_column, integers_of
from omc_pipeline.pnl.kernel.fills import BUY
from omc_pipeline.pnl.kernel.matched import NO_LOT
from omc_pipeline.pnl.kernel.matched import POOL as POOL_ROW
from omc_pipeline.pnl.policy import Method
from omc_pipeline.pnl.trade import POOL
from omc_pipeline.positions.bulk.arithmetic import negate
from omc_pipeline.positions.bulk.chunk import DAY, TEXTS, Carry, Chunk, Ledger
from omc_pipeline.positions.bulk.days import DaySums, due, no_sums, run_up
from omc_pipeline.positions.bulk.reading import ACCOUNT, ALGORITHM, FILL
from omc_pipeline.positions.bulk.writing import NULL, Bytes, Cells, Number, Text, Whole, encoded
from omc_pipeline.positions.bulk.writing import Days as DayColumn
from omc_pipeline.positions.fills import BEGINNING

_POOLED_ON = (BEGINNING - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
"""In microseconds since 2000; a pool bears no date."""
_ZERO_BASIS = b"zero_basis"
TABLES = {
    "lot": "position_id, acquired_at, lot_fill, account_id, algorithm_id, rank, qty, cost, open_qty, open_cost",
    "lot_match": "position_id, match_no, account_id, sell_fill, lot_fill, qty, cost, proceeds, acquired_at, disposed_at, rule,"
    " sell_algorithm, lot_algorithm",
    "daily": f"position_id, day, trades, {', '.join(DaySums._fields)}",
    "checkpoint": f"position_id, at, trades, last_at, {', '.join(DaySums._fields)}",
}


class Ended(NamedTuple):
    """A coin of which nothing more comes: its trades, the time of the last one in microseconds since 2000, and its sums."""

    symbol: str
    trades: int
    last: int
    sums: Sequence[int]


class Output(NamedTuple):
    """What a chunk gives."""

    tables: Mapping[str, Bytes]
    ended: Sequence[Ended]
    unmatched: Sequence[tuple[str, str, int, int]]
    """Coin, sell, units, time."""
    carry: Carry


def output_of(
    chunk: Chunk, carry: Carry, position_ids: Mapping[str, int], method: Method, checkpoint_trades: int, *, is_last: bool
) -> Output:
    """Encode what a chunk has to write.

    Args:
        chunk: Matched.
        carry: That it went on from.
        position_ids: By coin.
        method: That it was matched by.
        checkpoint_trades: A checkpoint is due after so many trades.
        is_last: Whether no more fills come; else its last coin goes on in the next chunk.
    """
    ids = np.array([position_ids[symbol] for symbol in chunk.symbols], np.int64)
    opens = chunk.matched.open_lots.ends
    ended_rows = int(chunk.offsets[-1] if is_last else chunk.offsets[-2])
    ended_open = int(opens[-1] if is_last else (opens[-2] if len(opens) > 1 else 0))
    days = chunk.days
    is_first = np.ones(len(days.day), bool)
    is_first[1:] = days.position[1:] != days.position[:-1]
    running = DaySums(*map(_running, days.sums, carry.before, [is_first] * len(days.sums)))
    trades = _running_trades(days.trades, is_first, carry.trades_before)
    tables: dict[str, Bytes] = {
        "lot": _pools(chunk, ids, ended_open) if method == "avg" else _lots(chunk, ids, ended_rows, ended_open, method),
        "lot_match": _matches(chunk, ids, carry.matches),
    }
    kept = len(days.day) if is_last else len(days.day) - 1
    tables["daily"] = _daily(chunk, ids, kept)
    marks = np.zeros(len(days.day), bool)
    month = (np.datetime64("2000-01-01") + days.day.astype("timedelta64[D]")).astype("datetime64[M]").astype(np.int64)
    checkpoint = due(is_first, month, trades, carry.checkpoint, checkpoint_trades, marks)
    if method != "avg":
        tables["checkpoint"] = _checkpoints(chunk, ids, np.flatnonzero(marks), running, trades)
    ends = np.flatnonzero(np.append(is_first[1:], True))
    last_rows = ends if is_last else ends[:-1]
    ended = [_ended(chunk.symbols[days.position[at]], int(trades[at]), int(days.last[at]), running, at) for at in last_rows]
    going_on = Carry() if is_last else _carry(chunk, ended_open, running, trades, carry, int(checkpoint))
    return Output(tables, ended, list(_unmatched(chunk)), going_on)


def _running(column: Column, before: Column, is_first: npt.NDArray[np.bool_]) -> Column:
    out = empty_column(len(column))
    run_up(column, is_first, before, out)
    return out


def _running_trades(trades: Rows, is_first: npt.NDArray[np.bool_], before: int) -> Rows:
    total = np.cumsum(trades)
    firsts = np.flatnonzero(is_first)
    base = np.concatenate([[-before], total[firsts[1:] - 1]]) if len(firsts) else np.empty(0, np.int64)
    return (total - np.repeat(base, np.diff(np.append(firsts, len(trades))))).astype(np.int64)


def _text(ledger: Ledger, text: int, rows: Rows) -> Text:
    place = TEXTS.index(text)
    return Text(ledger.content, ledger.starts[rows, place], ledger.lengths[rows, place])


def _lots(chunk: Chunk, ids: Rows, ended_rows: int, ended_open: int, method: Method) -> Bytes:
    """Encode the lots that nothing more can happen to in this backfill: of coins that ended, and those used up."""
    ledger, opened = chunk.ledger, chunk.matched.open_lots
    left_qty, left_cost = np.zeros((len(ledger), 2), np.int64), np.zeros((len(ledger), 2), np.int64)
    left_qty[opened.lot], left_cost[opened.lot] = opened.qty, opened.cost
    wanted = ledger.side == BUY
    wanted[opened.lot[ended_open:]] = False
    rows = np.flatnonzero(wanted)
    rank = np.zeros((len(rows), 2), np.int64)
    if method in ("hifo", "lofo"):
        rank = ledger.price[rows].copy()
        if method == "hifo":
            negate(rank)
    position = ids[np.searchsorted(chunk.offsets, rows, "right") - 1]
    columns: list[Cells] = [
        Whole(position), Whole(ledger.time[rows]), _text(ledger, FILL, rows), _text(ledger, ACCOUNT, rows), _text(ledger, ALGORITHM, rows),
        Number(rank), Number(ledger.qty[rows]), Number(ledger.money[rows]), Number(left_qty[rows]), Number(left_cost[rows]),
    ]  # fmt: skip
    return encoded(columns, len(rows))


def _pools(chunk: Chunk, ids: Rows, ended_open: int) -> Bytes:
    opened = chunk.matched.open_lots
    position = ids[np.repeat(np.arange(len(opened.ends)), np.diff(opened.ends, prepend=0))][:ended_open]
    name = np.frombuffer(POOL.encode(), np.uint8)
    zeros, nothing = np.zeros(ended_open, np.int64), np.zeros(ended_open, np.int32)
    columns: list[Cells] = [
        Whole(position), Whole(zeros + _POOLED_ON), Text(name, zeros, nothing + len(name)), Text(name, zeros, nothing),
        Text(name, zeros, nothing - 1), Number(np.zeros((ended_open, 2), np.int64)), Number(opened.of_qty[:ended_open]),
        Number(opened.of_cost[:ended_open]), Number(opened.qty[:ended_open]), Number(opened.cost[:ended_open]),
    ]  # fmt: skip
    return encoded(columns, ended_open)


def _matches(chunk: Chunk, ids: Rows, written: int) -> Bytes:
    ledger, found = chunk.ledger, chunk.matched.matches
    counts = np.diff(found.ends, prepend=0)
    position = np.repeat(ids, counts)
    number = np.arange(len(found.sell)) - np.repeat(found.ends - counts, counts) + 1
    number[: counts[0] if len(counts) else 0] += written
    words = np.concatenate([ledger.content, np.frombuffer(POOL.encode() + _ZERO_BASIS, np.uint8)])
    lot_rows = np.maximum(found.lot, 0)
    of_lot, by_lot = _text(ledger, FILL, lot_rows), _text(ledger, ALGORITHM, lot_rows)
    starts, lengths, algorithm = of_lot.starts.copy(), of_lot.lengths.copy(), by_lot.lengths.copy()
    pooled, free = found.lot == POOL_ROW, found.lot == NO_LOT
    starts[pooled], lengths[pooled], lengths[free], algorithm[pooled | free] = len(ledger.content), len(POOL), -1, -1
    acquired = np.where(found.lot >= 0, ledger.time[lot_rows], NULL) if len(ledger) else found.lot
    rule_starts = np.full(len(free), len(ledger.content) + len(POOL), np.int64)
    columns: list[Cells] = [
        Whole(position), Whole(number), _text(ledger, ACCOUNT, found.sell), _text(ledger, FILL, found.sell),
        Text(words, starts, lengths), Number(found.qty), Number(found.cost), Number(found.proceeds), Whole(acquired),
        Whole(ledger.time[found.sell]), Text(words, rule_starts, np.where(free, len(_ZERO_BASIS), -1).astype(np.int32)),
        _text(ledger, ALGORITHM, found.sell), Text(ledger.content, by_lot.starts, algorithm),
    ]  # fmt: skip
    return encoded(columns, len(found.sell))


def _daily(chunk: Chunk, ids: Rows, kept: int) -> Bytes:
    days = chunk.days
    sums = [Number(column[:kept]) for column in days.sums]
    return encoded([Whole(ids[days.position[:kept]]), DayColumn(days.day[:kept]), Whole(days.trades[:kept]), *sums], kept)


def _checkpoints(chunk: Chunk, ids: Rows, rows: Rows, running: DaySums, trades: Rows) -> Bytes:
    """Encode checkpoints: the sums and the last trade before the day that each stands before."""
    days = chunk.days
    sums = [Number(column[rows - 1]) for column in running]
    stands = [Whole(ids[days.position[rows]]), Whole(days.day[rows] * DAY), Whole(trades[rows - 1]), Whole(days.last[rows - 1])]
    return encoded([*stands, *sums], len(rows))


def _ended(symbol: str, trades: int, last: int, running: DaySums, at: int) -> Ended:
    return Ended(symbol, trades, last, [integers_of(column[at : at + 1])[0] for column in running])


def _unmatched(chunk: Chunk) -> Iterator[tuple[str, str, int, int]]:
    missing, ledger = chunk.matched.unmatched, chunk.ledger
    for row, qty in zip(missing.sell.tolist(), integers_of(missing.qty), strict=True):
        start, length = ledger.starts[row, 0], ledger.lengths[row, 0]
        symbol = chunk.symbols[int(np.searchsorted(chunk.offsets, row, "right")) - 1]
        yield symbol, bytes(ledger.content[start : start + length]).decode(), qty, int(ledger.time[row])


def _carry(chunk: Chunk, ended_open: int, running: DaySums, trades: Rows, carry: Carry, checkpoint: int) -> Carry:
    """Return what is open of the last coin: its lots, its last day, its sums up to that day."""
    opened, days, last = chunk.matched.open_lots, chunk.days, len(chunk.days.day) - 1
    rows = opened.lot[ended_open:]
    lots = chunk.ledger.rows(np.maximum(rows, 0))
    lots.side[:] = BUY
    lots.qty, lots.money, lots.remaining = opened.of_qty[ended_open:], opened.of_cost[ended_open:], opened.qty[ended_open:]
    goes_on = len(chunk.symbols) == 1
    counts = np.diff(chunk.matched.matches.ends, prepend=0)
    is_only_day = last == 0 or days.position[last - 1] != days.position[last]
    before = carry.before if goes_on else no_sums(1)
    if not is_only_day:
        before = DaySums(*(column[last - 1 : last].copy() for column in running))
    return Carry(
        symbol=chunk.symbols[-1],
        lots=lots,
        day=int(days.day[last]),
        sums=DaySums(*(column[last:].copy() for column in days.sums)),
        trades=int(days.trades[last]),
        before=before,
        trades_before=int(trades[last] - days.trades[last]),
        last=int(days.last[last]),
        matches=int(counts[-1]) + (carry.matches if goes_on else 0),
        checkpoint=checkpoint,
    )
