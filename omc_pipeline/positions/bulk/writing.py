"""Columns into PostgreSQL's binary COPY; compiled. The format is told in ``reading``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from omc_pipeline.pnl.kernel.columns import Column, Rows
from omc_pipeline.pnl.kernel.jit import compiled, inlined

Bytes = npt.NDArray[np.uint8]
NULL = np.iinfo(np.int64).min
"""In place of a time or a whole number: NULL."""
_NUMERIC_BYTES = 28
_GROUPS = 10


class Text(NamedTuple):
    """A column of texts that lie in some bytes; a length of -1 is NULL."""

    content: Bytes
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int32]


class Number(NamedTuple):
    """A column of NUMERIC with 18 decimals, in units."""

    units: Column


class Whole(NamedTuple):
    """A column of bigint, or of timestamptz in microseconds since 2000."""

    values: Rows


class Days(NamedTuple):
    """A column of date, in days since 2000."""

    values: Rows


Cells = Text | Number | Whole | Days


def encoded(columns: Sequence[Cells], rows: int) -> Bytes:
    """Write columns side by side, without header and trailer."""
    sizes = np.full(rows, 2 + 4 * len(columns), np.int64)
    for column in columns:
        sizes += _sizes(column)
    cursor = np.cumsum(sizes) - sizes
    content = np.empty(int(sizes.sum()), np.uint8)
    _count(content, cursor, len(columns))
    for column in columns:
        if isinstance(column, Text):
            _texts(content, cursor, column.content, column.starts, column.lengths)
        elif isinstance(column, Number):
            _numbers(content, cursor, column.units)
        else:
            _wholes(content, cursor, column.values, 4 if isinstance(column, Days) else 8)
    return content


def _sizes(column: Cells) -> Any:
    if isinstance(column, Text):
        return np.maximum(column.lengths, 0)
    if isinstance(column, Number):
        return _NUMERIC_BYTES
    return np.where(column.values == NULL, 0, 4 if isinstance(column, Days) else 8)


@compiled
def _count(content: Bytes, cursor: Rows, fields: int) -> None:
    for row in range(len(cursor)):
        content[cursor[row]] = 0
        content[cursor[row] + 1] = fields
        cursor[row] += 2


@compiled
def _texts(content: Bytes, cursor: Rows, source: Bytes, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32]) -> None:
    for row in range(len(cursor)):
        length = lengths[row]
        at = _put(content, cursor[row], length, 4)
        for place in range(max(length, 0)):
            content[at + place] = source[starts[row] + place]
        cursor[row] = at + max(length, 0)


@compiled
def _wholes(content: Bytes, cursor: Rows, values: Rows, size: int) -> None:
    for row in range(len(cursor)):
        if values[row] == NULL:
            cursor[row] = _put(content, cursor[row], -1, 4)
        else:
            at = _put(content, cursor[row], size, 4)
            cursor[row] = _put(content, at, values[row], size)


@compiled
def _numbers(content: Bytes, cursor: Rows, units: Column) -> None:
    """Write ten groups of four decimal digits: five before the point, five after it; the server strips idle zeros."""
    for row in range(len(cursor)):
        low, high = np.uint64(units[row, 0]), np.uint64(units[row, 1])
        negative = (high >> np.uint64(63)) == np.uint64(1)
        if negative:
            low = ~low + np.uint64(1)
            high = ~high + (np.uint64(1) if low == 0 else np.uint64(0))
        low, high, tail = _divided(low, high, np.uint64(1_000_000_000))
        low, high, head = _divided(low, high, np.uint64(1_000_000_000))
        whole, _, eight = _divided(low, high, np.uint64(100_000_000))
        fraction = head * np.uint64(1_000_000_000) + tail
        at = _put(content, cursor[row], _NUMERIC_BYTES, 4)
        at = _put(content, at, _GROUPS, 2)
        at = _put(content, at, 4, 2)
        at = _put(content, at, 0x4000 if negative else 0, 2)
        at = _put(content, at, 18, 2)
        at = _put(content, at, np.int64(whole // np.uint64(100_000_000)), 2)
        at = _put(content, at, np.int64(whole // np.uint64(10_000) % np.uint64(10_000)), 2)
        at = _put(content, at, np.int64(whole % np.uint64(10_000)), 2)
        at = _put(content, at, np.int64(eight // np.uint64(10_000)), 2)
        at = _put(content, at, np.int64(eight % np.uint64(10_000)), 2)
        at = _put(content, at, np.int64(fraction // np.uint64(100_000_000_000_000)), 2)
        at = _put(content, at, np.int64(fraction // np.uint64(10_000_000_000) % np.uint64(10_000)), 2)
        at = _put(content, at, np.int64(fraction // np.uint64(1_000_000) % np.uint64(10_000)), 2)
        at = _put(content, at, np.int64(fraction // np.uint64(100) % np.uint64(10_000)), 2)
        cursor[row] = _put(content, at, np.int64(fraction % np.uint64(100) * np.uint64(100)), 2)


@inlined
def _put(content: Bytes, at: int, value: Any, size: int) -> int:
    """Write a big-endian integer and answer where the next one goes."""
    for place in range(size):
        content[at + place] = (value >> (8 * (size - 1 - place))) & 0xFF
    return at + size


@inlined
def _divided(low: Any, high: Any, divisor: Any) -> tuple[Any, Any, Any]:
    """Divide a 128-bit magnitude by less than 2**32: low and high word of the quotient, and the rest."""
    mask, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    top = high >> shift
    first, rest = top // divisor, top % divisor
    part = (rest << shift) | (high & mask)
    second, rest = part // divisor, part % divisor
    part = (rest << shift) | (low >> shift)
    third, rest = part // divisor, part % divisor
    part = (rest << shift) | (low & mask)
    return (third << shift) | (part // divisor), (first << shift) | second, part % divisor
