"""Stated money must agree: quantity, price, total and fee of a row are held against each other before any of them is used."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from omc_pipeline.imports.row import UnclearRowError
from omc_pipeline.pnl.amounts import decimal_of, product, rounded_units, total

Side = Literal["buy", "sell"]
_SHARE = Decimal("0.000001")
"""What a total may be off by beyond the last digits of its parts: venues compute with prices that they print shorter."""


_CENT = Decimal("0.01")
_ROUNDED_PRICE, _ROUNDED_QTY = 4, 6
"""Decimals from which on a price or a quantity may have been rounded; shorter ones are what they say, without idle zeros."""


def last_digit(value: Decimal, fewest: int = 1) -> Decimal:
    """Return one unit of a number's last decimal; nothing for one with fewer decimals, which is exact."""
    exponent = value.as_tuple().exponent
    return Decimal(1).scaleb(exponent) if isinstance(exponent, int) and -exponent >= fewest else Decimal(0)


def slack(qty: Decimal, price: Decimal, stated: Decimal) -> Decimal:
    """Return how far a stated total may be from quantity × price when each was rounded to the digits it shows."""
    of_price, of_qty = product(abs(qty), last_digit(price, _ROUNDED_PRICE)), product(abs(price), last_digit(qty, _ROUNDED_QTY))
    digits = total(of_price, of_qty, min(last_digit(stated), _CENT))
    return max(digits, product(abs(stated), _SHARE))


def value_before_fee(side: Side, qty: Decimal, price: Decimal | None, stated: Decimal | None, fee: Decimal) -> Decimal:
    """Return the value of a trade before its fee, from a total that may or may not hold the fee.

    Args:
        side: A fee in money makes a purchase dearer and a sale poorer.
        qty: Coins, positive.
        price: Of one coin, without fee.
        stated: A total, of whatever sign; None: it is quantity × price.
        fee: In the currency of the total; zero where it is in a coin.

    Raises:
        UnclearRowError: The total is neither; or nothing states a value.
    """
    if stated is None:
        if price is None:
            raise UnclearRowError("it states neither a price nor a total")
        return product(qty, price)
    stated = abs(stated)
    if price is None:
        return stated
    computed = product(qty, price)
    if stated == computed:
        return stated
    with_fee = total(computed, fee if side == "buy" else -fee)
    allowed = slack(qty, price, stated)
    off, off_with_fee = abs(total(stated, -computed)), abs(total(stated, -with_fee))
    if off <= allowed and off <= off_with_fee:
        return stated
    if fee and off_with_fee <= allowed:
        return total(stated, -fee if side == "buy" else fee)
    if off <= allowed:
        return stated
    raise disagreement(stated, computed, with_fee)


def disagreement(stated: Decimal, computed: Decimal, with_fee: Decimal) -> UnclearRowError:
    """Return the error for a total that is neither quantity × price nor that with the fee."""
    either = f"{shown(computed)} (quantity × price)" + ("" if with_fee == computed else f" or {shown(with_fee)} (with the fee)")
    return UnclearRowError(f"its total of {shown(stated)} is not {either}")


def must_agree(what: str, stated: Decimal | None, other_name: str, other: Decimal, allowed: Decimal) -> None:
    """Hold one stated amount against another one.

    Raises:
        UnclearRowError: They are further apart.
    """
    if stated is not None and abs(total(abs(stated), -abs(other))) > max(allowed, product(abs(other), _SHARE)):
        raise UnclearRowError(f"its {what} of {shown(stated)} and its {other_name} of {shown(other)} don't agree")


def worth_agrees(amount: tuple[Decimal, str], worth: Decimal | None, currency: str) -> None:
    """Hold an amount of money against what the same row says it was worth.

    Raises:
        UnclearRowError: They are in one currency and further apart than a hundredth.
    """
    qty, coin = amount
    if worth and qty and coin == currency:
        must_agree(f"amount of {coin}", qty, f"worth in {currency}", worth, product(abs(worth), Decimal("0.01")))


def shown(value: Decimal) -> str:
    """Write an amount without idle zeros."""
    return f"{decimal_of(rounded_units(value)).normalize():f}"
