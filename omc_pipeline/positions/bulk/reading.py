"""PostgreSQL's binary COPY of fills into columns; compiled.

A row is the number of its fields, then of each field its length (-1: NULL) and its bytes, all big-endian. A NUMERIC is four
16-bit words (number of digits, weight, sign, scale) and its digits, to the base 10,000.
Source: https://www.postgresql.org/docs/current/sql-copy.html, and numeric_send in src/backend/utils/adt/numeric.c.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from omc_pipeline.pnl.kernel.columns import Column, Rows, empty_column
from omc_pipeline.pnl.kernel.jit import compiled, inlined

Bytes = npt.NDArray[np.uint8]
SYMBOL, FILL, ACCOUNT, ALGORITHM = range(4)
_TEXTS = 4
_FRACTION_GROUPS = 5
_DIGEST_BYTES = 32


class FillColumns(NamedTuple):
    """One row a fill. ``starts`` and ``lengths`` say where its texts lie in the bytes, by column; a length of -1 is NULL.

    ``numbers`` are quantity, amount, fee and price in 1e-18 units. ``time`` is in microseconds since 2000. ``fee_in_coin`` is 1
    where the fee is in the coin itself. ``begins`` is the byte at which the row begins, ``digest`` that of its 32 digest bytes.
    """

    begins: Rows
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int32]
    is_sell: Bytes
    fee_in_coin: Bytes
    time: Rows
    qty: Column
    amount: Column
    fee: Column
    price: Column
    digest: Rows


def read_fills(content: Bytes, rows: int) -> FillColumns:
    """Read so many rows: symbol, fill id, account, algorithm, side, whether the fee is in coin, time, amounts, digest."""
    columns = FillColumns(
        begins=np.empty(rows, np.int64),
        starts=np.empty((rows, _TEXTS), np.int64),
        lengths=np.empty((rows, _TEXTS), np.int32),
        is_sell=np.empty(rows, np.uint8),
        fee_in_coin=np.empty(rows, np.uint8),
        time=np.empty(rows, np.int64),
        qty=empty_column(rows),
        amount=empty_column(rows),
        fee=empty_column(rows),
        price=empty_column(rows),
        digest=np.empty(rows, np.int64),
    )
    _read(content, columns)
    return columns


@compiled
def _read(content: Bytes, columns: FillColumns) -> None:
    at = 0
    for row in range(len(columns.begins)):
        columns.begins[row] = at
        at += 2
        for place in range(4):
            length = _int32(content, at)
            at += 4
            columns.starts[row, place] = at
            columns.lengths[row, place] = length
            at += max(length, 0)
        length = _int32(content, at)
        columns.is_sell[row] = 1 if content[at + 4] == 115 else 0  # 's'
        at += 4 + length
        columns.fee_in_coin[row] = content[at + 4]
        at += 5
        columns.time[row] = _int64(content, at + 4)
        at += 12
        at = _numeric(content, at, columns.qty, row)
        at = _numeric(content, at, columns.amount, row)
        at = _numeric(content, at, columns.fee, row)
        at = _numeric(content, at, columns.price, row)
        columns.digest[row] = at + 4
        at += 4 + _DIGEST_BYTES


def digest_of(content: Bytes, columns: FillColumns) -> int:
    """Add up the digests of fills, whole numbers of 256 bits."""
    words = np.zeros(_DIGEST_BYTES // 4, np.uint64)
    _add_digests(content, columns.digest, words)
    return sum(int(word) << (32 * (len(words) - 1 - place)) for place, word in enumerate(words))


@compiled
def _add_digests(content: Bytes, begins: Rows, words: npt.NDArray[np.uint64]) -> None:
    for row in range(len(begins)):
        for word in range(len(words)):
            at = begins[row] + 4 * word
            words[word] += (np.uint64(_int16(content, at)) << np.uint64(16)) | np.uint64(_int16(content, at + 2))


@inlined
def _int16(content: Bytes, at: int) -> int:
    return (np.int64(content[at]) << 8) | np.int64(content[at + 1])  # type: ignore[return-value]  # one integer in compiled code


@inlined
def _int32(content: Bytes, at: int) -> int:
    value = (_int16(content, at) << 16) | _int16(content, at + 2)
    return value - 4294967296 if value >= 2147483648 else value


@inlined
def _int64(content: Bytes, at: int) -> int:
    value = np.int64(0)
    for place in range(8):
        value = (value << 8) | np.int64(content[at + place])
    return value  # type: ignore[return-value]  # compiled code has one integer of 64 bits


@inlined
def _numeric(content: Bytes, at: int, column: Column, row: int) -> int:
    """Read one amount of at most 18 decimals, and answer where the next field begins; NULL becomes 0."""
    length = _int32(content, at)
    low, high = np.uint64(0), np.uint64(0)
    if length > 0:
        digits, weight = _int16(content, at + 4), _int16(content, at + 6)
        weight = weight - 65536 if weight >= 32768 else weight
        for group in range(max(weight, 0), -_FRACTION_GROUPS - 1, -1):
            place = weight - group
            digit = _int16(content, at + 12 + 2 * place) if 0 <= place < digits else np.int64(0)
            if group == -_FRACTION_GROUPS:
                low, high = _times_plus(low, high, np.uint64(100), np.uint64(digit // 100))
            else:
                low, high = _times_plus(low, high, np.uint64(10000), np.uint64(digit))
        if content[at + 8] == 0x40:
            low = ~low + np.uint64(1)
            high = ~high + (np.uint64(1) if low == 0 else np.uint64(0))
    column[row, 0] = np.int64(low)
    column[row, 1] = np.int64(high)
    return at + 4 + max(length, 0)


@inlined
def _times_plus(low: Any, high: Any, factor: Any, addend: Any) -> tuple[Any, Any]:
    """Return 128-bit ``value * factor + addend``, for factors below 2**32."""
    mask = np.uint64(0xFFFFFFFF)
    first = (low & mask) * factor + addend
    second = (low >> np.uint64(32)) * factor + (first >> np.uint64(32))
    return (second << np.uint64(32)) | (first & mask), high * factor + (second >> np.uint64(32))


def differs_from_last(content: Bytes, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Tell of each row whether its text is another than the row's before it; the first row's is."""
    differs = np.empty(len(starts), np.bool_)
    _compare(content, np.ascontiguousarray(starts), np.ascontiguousarray(lengths), differs)
    return differs


@compiled
def _compare(content: Bytes, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32], differs: npt.NDArray[np.bool_]) -> None:
    for row in range(len(starts)):
        differs[row] = row == 0 or lengths[row] != lengths[row - 1]
        if not differs[row]:
            for place in range(lengths[row]):
                if content[starts[row] + place] != content[starts[row - 1] + place]:
                    differs[row] = True
                    break
