"""128-bit columns: numpy arrays of shape (n, 2), 16 bytes a value, little-endian two's complement, as Arrow keeps decimal128."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import DECIMALS

if TYPE_CHECKING:
    import pyarrow as pa

Column = npt.NDArray[np.int64]
"""Low word, high word; the low one counts without sign."""
Rows = npt.NDArray[np.int64]
"""Numbers of rows."""

BITS = 127
_WORD = (1 << 64) - 1
_PRECISION = 38


def column_of(values: Sequence[int]) -> Column:
    """Pack integers.

    Raises:
        OverflowError: One does not fit 128 bits.
    """
    column = np.empty((len(values), 2), np.int64)
    column.view(np.uint64)[:, 0] = np.array([value & _WORD for value in values], np.uint64)
    column[:, 1] = np.array([value >> 64 for value in values], np.int64)
    return column


def integers_of(column: Column) -> list[int]:
    """Unpack integers."""
    low, high = np.ascontiguousarray(column).view(np.uint64)[:, 0].tolist(), column[:, 1].tolist()
    return [(above << 64) | below for above, below in zip(high, low, strict=True)]


def empty_column(length: int) -> Column:
    """Reserve a column; memory is taken where it is written."""
    return np.empty((length, 2), np.int64)


def from_arrow(name: str, values: pa.Array | pa.ChunkedArray, scale: int | None = DECIMALS) -> Column:
    """View a decimal128 array as a column, without a copy.

    Args:
        name: What an error message calls it.
        values: Without nulls. Only several chunks are copied, into one.
        scale: The decimals it must have; None: any.

    Raises:
        BadInputError: Of another type, or with nulls.
    """
    import pyarrow as pa

    kind = values.type
    if not pa.types.is_decimal128(kind) or (scale is not None and kind.scale != scale):
        raise BadInputError(f"column {name!r} is {kind}; it must be decimal128(38, {DECIMALS if scale is None else scale})")
    if values.null_count:
        raise BadInputError(f"column {name!r} has {values.null_count} nulls; every fill needs a value")
    array = one_chunk(values)
    if not len(array):
        return empty_column(0)
    return np.frombuffer(array.buffers()[1], np.int64, 2 * len(array), 16 * array.offset).reshape(-1, 2)


def one_chunk(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return an array in one piece; only several pieces are copied."""
    import pyarrow as pa

    if not isinstance(values, pa.ChunkedArray):
        return values
    if values.num_chunks == 1:
        return values.chunk(0)
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)


def to_arrow(column: Column, scale: int = DECIMALS) -> pa.Array:
    """View a column as decimal128(38, 18), without a copy."""
    import pyarrow as pa

    kept: Any = np.ascontiguousarray(column)
    return pa.Array.from_buffers(pa.decimal128(_PRECISION, scale), len(kept), [None, pa.py_buffer(kept)])
