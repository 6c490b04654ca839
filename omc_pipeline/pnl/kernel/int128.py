"""128-bit and 256-bit integers as types of numba: LLVM has them, numba leaves them out.

Functions here exist only inside compiled code. In their annotations such a value is an ``int``, which is what it means. LLVM
adds, subtracts, multiplies and compares any width inline; it divides beyond 64 bits by a call into a library that compiled
code need not find, so division is ours (``division``).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

Column = Any
"""An array of shape (n, 2) and type int64: 16 bytes a value, little-endian two's complement, as Arrow's decimal128 keeps it."""

LIMIT = 10**38
_WORD, _BITS_128, _BITS_256 = ir.IntType(64), ir.IntType(128), ir.IntType(256)
_DOUBLE = ir.DoubleType()


class WideInteger(types.Type):
    """An integer of so many bits; two's complement where signs matter."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__(name=f"int{bits}")


int128 = WideInteger(128)
int256 = WideInteger(256)


@register_model(WideInteger)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: WideInteger) -> None:
        super().__init__(manager, kind, ir.IntType(kind.bits))


def _teach(function: Callable[..., Any], kind: WideInteger, arity: int, answer: types.Type, build: Callable[..., Any]) -> None:
    """Let compiled code apply a Python operator to values of a kind."""

    @type_callable(function)
    def typed(context: Any) -> Callable[..., Any]:
        def typer(*kinds: Any) -> Any:
            return answer if kinds == (kind,) * arity else None

        return typer

    @lower_builtin(function, *(kind,) * arity)
    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return build(builder, *values)


def _teach_operators() -> None:
    """Signed at 128 bits, where money has a sign; unsigned at 256, where only magnitudes are multiplied and divided."""
    for kind, compare in ((int128, "icmp_signed"), (int256, "icmp_unsigned")):
        for function in (operator.add, operator.iadd):
            _teach(function, kind, 2, kind, lambda builder, left, right: builder.add(left, right))
        for function in (operator.sub, operator.isub):
            _teach(function, kind, 2, kind, lambda builder, left, right: builder.sub(left, right))
        for function, sign in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">="), (operator.eq, "==")):
            _teach(
                function,
                kind,
                2,
                types.boolean,
                lambda builder, left, right, compare=compare, sign=sign: getattr(builder, compare)(sign, left, right),
            )
    _teach(operator.neg, int128, 1, int128, lambda builder, value: builder.neg(value))


_teach_operators()


@intrinsic
def integer(typing_context, value):
    """Answer a 64-bit integer with 128 bits."""
    return int128(types.int64), lambda context, builder, signature, values: builder.sext(values[0], _BITS_128)


@intrinsic
def limit(typing_context):
    """Answer 1e38, which no amount and no sum of a position reaches."""
    return int128(), lambda context, builder, signature, values: ir.Constant(_BITS_128, LIMIT)


@intrinsic
def load(typing_context, column, index):
    """Read one value of a column."""
    return int128(column, types.intp), lambda context, builder, signature, values: builder.load(_place(context, builder, signature, values), align=8)


@intrinsic
def store(typing_context, column, index, value):
    """Write one value of a column."""

    def generate(context, builder, signature, values):
        builder.store(values[2], _place(context, builder, signature, values), align=8)

    return types.void(column, types.intp, int128), generate


@intrinsic
def product(typing_context, left, right):
    """Multiply two magnitudes without loss."""

    def generate(context, builder, signature, values):
        return builder.mul(*(builder.zext(value, _BITS_256) for value in values))

    return int256(int128, int128), generate


@intrinsic
def wide(typing_context, magnitude):
    """Answer a magnitude with 256 bits."""
    return int256(int128), lambda context, builder, signature, values: builder.zext(values[0], _BITS_256)


@intrinsic
def as_float(typing_context, magnitude):
    """Answer the nearest floats' sum of a 256-bit magnitude; relative error below 2**-50."""

    def generate(context, builder, signature, values):
        total = ir.Constant(_DOUBLE, 0.0)
        for limb in (3, 2, 1, 0):
            word = builder.trunc(builder.lshr(values[0], ir.Constant(_BITS_256, 64 * limb)), _WORD)
            total = builder.fadd(total, builder.fmul(builder.uitofp(word, _DOUBLE), ir.Constant(_DOUBLE, 2.0 ** (64 * limb))))
        return total

    return types.float64(int256), generate


@intrinsic
def whole(typing_context, number):
    """Cut a float from 0 to below 2**127 to an integer; exact, as a float has 53 bits."""

    def generate(context, builder, signature, values):
        high = builder.fptoui(builder.fmul(values[0], ir.Constant(_DOUBLE, 2.0**-64)), _WORD)
        rest = builder.fsub(values[0], builder.fmul(builder.uitofp(high, _DOUBLE), ir.Constant(_DOUBLE, 2.0**64)))
        low = builder.fptoui(rest, _WORD)
        return builder.or_(builder.shl(builder.zext(high, _BITS_128), ir.Constant(_BITS_128, 64)), builder.zext(low, _BITS_128))

    return int128(types.float64), generate


def _place(context, builder, signature, values):
    """Answer the address of a column's value."""
    column = context.make_array(signature.args[0])(context, builder, values[0])
    return builder.gep(builder.bitcast(column.data, _BITS_128.as_pointer()), [values[1]])
