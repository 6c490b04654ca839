"""The telescoping split in compiled code: money x remaining / quantity, exact through 256 bits.

LLVM would divide such integers by a call into the compiler's library, which compiled code does not find. The quotient is
taken from floats instead: each round takes a part that is never too large and subtracts it exactly, so what the loop ends with
is the floor, whatever the floats were worth. They only decide how many rounds it takes: one for each 47 bits of the quotient.
"""

from __future__ import annotations

from omc_pipeline.pnl.kernel.int128 import as_float, integer, product, whole, wide
from omc_pipeline.pnl.kernel.jit import inlined

_UNDER = 1.0 - 2.0**-48
"""Takes more off an estimate than its four roundings (2**-50 each, at most) can have put on it."""


@inlined
def remaining_share(money: int, remaining: int, quantity: int) -> int:
    """Return what ``pnl.split.remaining_share`` answers; ``remaining`` is not negative, ``quantity`` is positive."""
    share = _quotient(product(-money if money < integer(0) else money, remaining), quantity)
    return -share if money < integer(0) else share


@inlined
def _quotient(dividend: int, divisor: int) -> int:
    whole_divisor = wide(divisor)
    inverse = _UNDER / as_float(whole_divisor)
    total = integer(0)
    while dividend >= whole_divisor:
        part = whole(as_float(dividend) * inverse)
        if part < integer(1):
            part = integer(1)
        total += part
        dividend -= product(part, divisor)
    return total
