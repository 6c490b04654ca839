"""Scaled integers: every quantity and every sum of money is an ``int`` of 1e-18 units.

Text becomes a number here and is rounded here, once. Python's default decimal context keeps 28 digits, which is too few for
the product of an 18-decimal quantity and a 12-decimal price; every operation below names its own context, in which an inexact
result raises instead of passing.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

DECIMALS = 18
UNIT = 10**DECIMALS
LIMIT = 10**38
"""Magnitude that no single amount reaches, in units: what ``NUMERIC(38,18)`` and 128 bits hold."""

PRICE_DECIMALS = 36
"""Decimals of a price, kept only to compare lots: cost is computed from the price as it was written."""

_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN, traps=[Inexact, InvalidOperation, Overflow, DivisionByZero])
_ROUNDING = Context(prec=400, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, Overflow, DivisionByZero])
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?")
_LONGEST = 100
_UNITS = Decimal(UNIT)


def parse_decimal(text: str) -> Decimal:
    """Read a finite decimal number, exactly.

    Raises:
        ValueError: Not a number, NaN, infinite, longer than 100 characters, 1e20 or larger, or finer than 1e-60.
    """
    stripped = text.strip()
    if len(stripped) > _LONGEST:
        raise ValueError(f"{stripped[:20]}... has {len(stripped)} characters; at most {_LONGEST} are read")
    if not _NUMBER.fullmatch(stripped):
        raise ValueError(f"{stripped!r} is not a finite decimal number")
    value = Decimal(stripped)
    if not value:
        return Decimal(0)
    if value.adjusted() >= 38 - DECIMALS:
        raise ValueError(f"{stripped} is too large; amounts must be below 1e{38 - DECIMALS}")
    if value.adjusted() < -60:
        raise ValueError(f"{stripped} is too small to be an amount")
    return value


def exact_units(value: Decimal, decimals: int = DECIMALS) -> int:
    """Scale a number to an integer without rounding; quantities are never rounded.

    Raises:
        ValueError: The number has more decimals than that.
    """
    scaled = value.scaleb(decimals, _EXACT)
    units = int(scaled)
    if units != scaled:
        raise ValueError(f"{value} has more than {decimals} decimals")
    return units


def rounded_units(value: Decimal) -> int:
    """Scale a number to 1e-18 units, half even: the one rounding of a trade's money.

    Raises:
        ValueError: The amount reaches 1e20.
    """
    units = int(value.scaleb(DECIMALS, _ROUNDING).to_integral_value(context=_ROUNDING))
    if abs(units) >= LIMIT:
        raise ValueError(f"an amount of {value:.3e} is too large; money must be below 1e{38 - DECIMALS}")
    return units


def total(*values: Decimal) -> Decimal:
    """Add numbers exactly."""
    result = Decimal(0)
    for value in values:
        result = _EXACT.add(result, value)
    return result


def product(left: Decimal, right: Decimal) -> Decimal:
    """Multiply two numbers exactly, whatever their decimals."""
    return _EXACT.multiply(left, right)


def rounded_quotient(numerator: int, denominator: int) -> int:
    """Divide integers, half even; the denominator is positive."""
    quotient, rest = divmod(numerator, denominator)
    doubled = 2 * rest
    return quotient + (doubled > denominator or (doubled == denominator and quotient % 2 == 1))


def market_value(qty: int, price: int) -> int:
    """Multiply units by a price in units, half even."""
    return rounded_quotient(qty * price, UNIT)


def decimal_of(units: int) -> Decimal:
    """Return the exact number of so many units."""
    return Decimal(units).scaleb(-DECIMALS, _EXACT)


def text_of(units: int) -> str:
    """Write so many units as a decimal number, unrounded and without trailing zeros."""
    whole, fraction = divmod(abs(units), UNIT)
    sign = "-" if units < 0 else ""
    return f"{sign}{whole}.{fraction:018d}".rstrip("0").rstrip(".") if fraction else f"{sign}{whole}"
