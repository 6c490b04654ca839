"""128-bit and 256-bit integers as types of numba: LLVM has them, numba leaves them out.

The functions here exist only inside compiled code; in their annotations such a value is an ``int``, which is what it means. LLVM
adds, subtracts, multiplies and compares any width inline; it divides beyond 64 bits by a call into the compiler's library,
which is not there (the process ended in a segmentation fault, numba 0.68.1), so division is ours (``division``).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.typing import signature
from numba.extending import lower_builtin, models, register_model, type_callable

from omc_pipeline.pnl.amounts import LIMIT
from omc_pipeline.pnl.kernel.columns import Column

Build = Callable[[Any, Any, Any, Sequence[Any]], Any]
"""Writes instructions: context, builder, signature and values in, the resulting value out."""

_WORD, _DOUBLE, _BITS_128, _BITS_256 = ir.IntType(64), ir.DoubleType(), ir.IntType(128), ir.IntType(256)


class WideInteger(types.Type):  # type: ignore[misc]  # numba's classes have no types of their own
    """An integer of so many bits; two's complement where signs matter."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__(name=f"int{bits}")


int128 = WideInteger(128)
int256 = WideInteger(256)
register_model(WideInteger)(lambda manager, kind: models.PrimitiveModel(manager, kind, ir.IntType(kind.bits)))


def integer(value: int) -> int:
    """Return a 64-bit integer with 128 bits."""
    raise NotImplementedError


def limit() -> int:
    """Return 1e38, which no amount and no sum of a position reaches."""
    raise NotImplementedError


def load(column: Column, index: int) -> int:
    """Read one value of a column."""
    raise NotImplementedError


def store(column: Column, index: int, value: int) -> None:
    """Write one value of a column."""
    raise NotImplementedError


def wide(magnitude: int) -> int:
    """Return a magnitude with 256 bits."""
    raise NotImplementedError


def product(left: int, right: int) -> int:
    """Multiply two magnitudes without loss, to 256 bits."""
    raise NotImplementedError


def as_float(magnitude: int) -> float:
    """Return a 256-bit magnitude as a float; the relative error is below 2**-50."""
    raise NotImplementedError


def whole(number: float) -> int:
    """Cut a float, from 0 to below 2**127, to an integer; exact, since a float has 53 bits."""
    raise NotImplementedError


def _teach(function: Callable[..., Any], answer: Any, *taken: Any) -> Callable[[Build], Build]:
    """Let compiled code call a function, as the instructions that the decorated one writes.

    Args:
        function: A stub above, or an operator of Python.
        answer: Type of the result.
        taken: Types of the arguments; ``types.Array`` stands for any array.
    """
    parameters = [Parameter(f"value_{place}", Parameter.POSITIONAL_OR_KEYWORD) for place in range(len(taken))]

    def typer_for(context: Any) -> Callable[..., Any]:
        def typer(*kinds: Any) -> Any:
            if len(kinds) == len(taken) and all(map(_is_taken, kinds, taken)):
                return signature(answer, *(kind if one is types.Array else one for kind, one in zip(kinds, taken, strict=True)))
            return None

        typer.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # read by numba when it binds a call
        return typer

    def lowered(build: Build) -> Build:
        type_callable(function)(typer_for)
        lower_builtin(function, *taken)(build)
        return build

    return lowered


def _is_taken(kind: Any, taken: Any) -> bool:
    if taken is types.Array:
        return isinstance(kind, types.Array)
    return isinstance(kind, types.Integer) if taken is types.int64 else bool(kind == taken)


def _teach_operators() -> None:
    """Signed at 128 bits, where money has a sign; unsigned at 256, where only magnitudes are multiplied and divided."""

    def teach(function: Callable[..., Any], answer: Any, kind: WideInteger, instruction: str, *sign: str) -> None:
        @_teach(function, answer, kind, kind)
        def _(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
            return getattr(builder, instruction)(*sign, *values)

    for kind, compare in ((int128, "icmp_signed"), (int256, "icmp_unsigned")):
        for function, instruction in ((operator.add, "add"), (operator.iadd, "add"), (operator.sub, "sub"), (operator.isub, "sub")):
            teach(function, kind, kind, instruction)
        for function, sign in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">="), (operator.eq, "==")):
            teach(function, types.boolean, kind, compare, sign)


_teach_operators()


@_teach(operator.neg, int128, int128)
def _neg(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
    return builder.neg(values[0])


@_teach(integer, int128, types.int64)
def _integer(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
    return builder.sext(values[0], _BITS_128)


@_teach(limit, int128)
def _limit(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
    return ir.Constant(_BITS_128, LIMIT)


@_teach(load, int128, types.Array, types.int64)
def _load(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
    return builder.load(_place(context, builder, signature, values), align=8)


@_teach(store, types.void, types.Array, types.int64, int128)
def _store(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
    builder.store(values[2], _place(context, builder, signature, values), align=8)
    return context.get_dummy_value()


def _place(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
    """Return the address of a column's value."""
    column = context.make_array(signature.args[0])(context, builder, values[0])
    return builder.gep(builder.bitcast(column.data, _BITS_128.as_pointer()), [values[1]])


@_teach(wide, int256, int128)
def _wide(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
    return builder.zext(values[0], _BITS_256)


@_teach(product, int256, int128, int128)
def _product(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
    return builder.mul(*(builder.zext(value, _BITS_256) for value in values))


@_teach(as_float, types.float64, int256)
def _as_float(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
    total = ir.Constant(_DOUBLE, 0.0)
    for place in (192, 128, 64, 0):
        word = builder.trunc(builder.lshr(values[0], ir.Constant(_BITS_256, place)), _WORD)
        total = builder.fadd(total, builder.fmul(builder.uitofp(word, _DOUBLE), ir.Constant(_DOUBLE, 2.0**place)))
    return total


@_teach(whole, int128, types.float64)
def _whole(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
    high = builder.fptoui(builder.fmul(values[0], ir.Constant(_DOUBLE, 2.0**-64)), _WORD)
    rest = builder.fsub(values[0], builder.fmul(builder.uitofp(high, _DOUBLE), ir.Constant(_DOUBLE, 2.0**64)))
    low = builder.zext(builder.fptoui(rest, _WORD), _BITS_128)
    return builder.or_(builder.shl(builder.zext(high, _BITS_128), ir.Constant(_BITS_128, 64)), low)
