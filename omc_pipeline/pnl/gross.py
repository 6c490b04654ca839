"""Whether a stated quantity is before or after a fee that was taken in the coin itself; the stated total tells."""

from __future__ import annotations

from decimal import Decimal

from omc_pipeline.pnl.amounts import product, total

_SHARE = Decimal("0.000001")
"""How far a total may be from quantity × price and still be it: prices are printed shorter than they are traded at."""

_FAR = Decimal("0.01")


def is_gross(side: str, qty: Decimal, price: Decimal | None, stated: Decimal | None, fee: Decimal) -> bool:
    """Say whether a quantity is the traded one, from which the fee still has to be taken.

    A purchase whose total equals quantity × price was charged for that quantity, so a fee in the coin leaves the holding afterwards;
    were the quantity what arrived, the total would be that of quantity and fee together. The same holds the other way for a sale.
    Where no total is stated, a quantity is what holdings changed by.

    Args:
        side: ``buy`` or ``sell``.
        qty: As stated.
        price: Of one coin.
        stated: The total; None: none is.
        fee: In the coin.
    """
    if price is None or stated is None or not fee:
        return False
    traded = product(qty, price)
    otherwise = product(total(qty, fee if side == "buy" else -fee), price)
    off, off_otherwise = abs(total(stated, -traded)), abs(total(stated, -otherwise))
    return off < off_otherwise and off <= product(abs(traded), _SHARE)


def disagreement(
    side: str, qty: Decimal, price: Decimal | None, stated: Decimal | None, fee: Decimal, *, in_coin: bool = False
) -> str | None:
    """Return the two readings of a row whose stated total is far from quantity × price, or None where they agree.

    A total may hold the fee or not, and prices are printed short, so only what is further apart than a hundredth is reported.

    Args:
        side: ``buy`` or ``sell``.
        qty: As stated.
        price: Of one coin; None: none is stated.
        stated: The total; None: none is.
        fee: As stated.
        in_coin: Whether the fee is in the coin.
    """
    if not price or not stated:
        return None
    computed = product(qty, price)
    worth = product(fee, price) if in_coin else fee
    readings = (computed, total(computed, worth), total(computed, -worth))
    if any(abs(total(stated, -reading)) <= max(abs(stated), abs(reading)) * _FAR for reading in readings):
        return None
    name = "cost" if side == "buy" else "proceeds"
    return f"its {name} of {stated:f} counts, and is not quantity × price, {computed.normalize():f}; if that is right, leave out {name}"
