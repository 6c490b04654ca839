"""The telescoping split: parts of a whole that sum to it with ``==``."""

from __future__ import annotations


def remaining_share(whole: int, remaining: int, quantity: int) -> int:
    """Return how much of ``whole`` belongs to what remains of ``quantity``.

    A part is the difference of two such shares, so all parts sum to the whole, and what remains depends on three numbers
    alone, not on how many parts were taken before. The magnitude is rounded down, also where the whole is negative (a fee
    above the notional makes proceeds negative), so the sign is split off first.

    Args:
        whole: Money in units, of either sign.
        remaining: Units left, from 0 to ``quantity``.
        quantity: Units the whole stands for, positive.
    """
    if whole >= 0:
        return whole * remaining // quantity
    return -(-whole * remaining // quantity)
