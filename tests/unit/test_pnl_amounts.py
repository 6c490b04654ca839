"""Numbers as text in and out: exact, rounded once, never in the 28-digit context."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omc_pipeline.pnl.amounts import (
    UNIT,
    decimal_of,
    exact_units,
    market_value,
    parse_decimal,
    product,
    rounded_quotient,
    rounded_units,
    text_of,
)
from omc_pipeline.pnl.split import remaining_share

units = st.integers(-(10**38) + 1, 10**38 - 1)


@given(units)
def test_units_written_and_read_again_are_the_same(amount: int) -> None:
    assert exact_units(parse_decimal(text_of(amount))) == amount
    assert exact_units(decimal_of(amount)) == amount


@given(st.decimals(-(10**12), 10**12, places=18), st.decimals(0, 10**6, places=12))
def test_a_product_is_exact_and_rounded_half_even(left: Decimal, right: Decimal) -> None:
    assert rounded_units(product(left, right)) == round(Fraction(left) * Fraction(right) * UNIT)


@given(units, st.integers(1, 10**30))
def test_a_quotient_is_rounded_half_even(numerator: int, denominator: int) -> None:
    assert rounded_quotient(numerator, denominator) == round(Fraction(numerator, denominator))


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_a_market_value_is_rounded_half_even(qty: int, price: int) -> None:
    assert market_value(qty, price) == round(Fraction(qty * price, UNIT))


@given(units, st.integers(1, 10**30), st.data())
def test_what_remains_is_rounded_towards_zero_on_both_sides_of_it(whole: int, quantity: int, data: st.DataObject) -> None:
    remaining = data.draw(st.integers(0, quantity))

    assert remaining_share(whole, remaining, quantity) == int(Fraction(whole * remaining, quantity))
    assert remaining_share(-whole, remaining, quantity) == -remaining_share(whole, remaining, quantity)


@pytest.mark.parametrize(
    ("text", "written"), [("1.50", "1.5"), ("-0.0", "0"), ("1e3", "1000"), (".5", "0.5"), ("-1e-18", "-0.000000000000000001")]
)
def test_text_is_written_without_exponent_and_trailing_zeros(text: str, written: str) -> None:
    assert text_of(exact_units(parse_decimal(text))) == written


@pytest.mark.parametrize("text", ["", "nan", "-Infinity", "1_0", "٣", "0x10", "1e", "1 2", "1e20", "1e9999999999", "1e-61"])
def test_text_that_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_decimal(text)
