"""Single values out of a JSON row: what is read, and what is refused with a reason."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from omc_infra.errors import PayloadChangedError
from omc_infra.payload import Payload
from omc_pipeline.collection.json_body import read_json
from omc_pipeline.collection.values import amount, instant, instant_of_epoch, optional_amount, optional_text, text

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)


def _json(body: str) -> dict:  # type: ignore[type-arg]
    document = read_json(Payload("x", body.encode(), NOW, ""))
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0.1", "0.1"),
        ('"0.10"', "0.10"),
        ("1.25e-05", "0.0000125"),
        ("12", "12"),
        ('" 7 "', "7"),
        ("-0.0", "0"),
        ("0e999", "0"),
        ("1E3", "1000"),
    ],
)
def test_a_number_is_read_exactly_whether_json_number_or_text(written: str, expected: str) -> None:
    assert amount(_json(f'{{"n": {written}}}'), "n") == Decimal(expected)


def test_float_noise_of_the_upstream_is_kept_as_it_is() -> None:
    assert amount(_json('{"n": 20.440000000000005}'), "n") == Decimal("20.440000000000005")


@pytest.mark.parametrize(
    "written",
    [
        *("NaN", "Infinity", "-Infinity", '"NaN"', '"inf"', '"1_000"', '"١٢"', '"0x10"', '""', "null", "true", "[1]", '{"a": 1}'),
        *("1e999999", '"1e999999"', "1e99999999999999999999", "1" * 5_000, '"' + "1" * 5_000 + '"', "1e20", "-1e20", "1e-19"),
        *("0." + "0" * 70 + "1", '"1,5"', '"1e5e5"'),
    ],
)
def test_what_is_no_finite_number_of_the_ledgers_range_is_refused(written: str) -> None:
    document = _json(f'{{"n": {written}}}')

    with pytest.raises(ValueError, match=r"^n .{1,120}$"):
        amount(document, "n")


def test_a_number_of_a_million_digits_is_refused_at_once() -> None:
    started = time.monotonic()

    with pytest.raises(ValueError, match="n is"):
        amount(_json('{"n": 1' + "0" * 1_000_000 + "}"), "n")

    assert time.monotonic() - started < 1


def test_digits_beyond_the_ledgers_are_rounded_half_to_even() -> None:
    assert amount({"n": Decimal("1.0000000000000000005")}, "n") == Decimal("1.000000000000000000")
    assert amount({"n": Decimal("12345678901234567890.1234567890123456785")}, "n") == Decimal("12345678901234567890.123456789012345678")


def test_bounds_are_kept_and_a_missing_optional_number_is_none() -> None:
    assert optional_amount({}, "n", above=0) is None
    with pytest.raises(ValueError, match="not above 0"):
        amount({"n": 0}, "n", above=0)
    with pytest.raises(ValueError, match="below 0"):
        optional_amount({"n": Decimal("-0.1")}, "n", least=0)


@pytest.mark.parametrize("value", ["", "  ", "a\x00b", "a\nb", "\ud800", "x" * 501, 7, None, ["a"]])
def test_text_that_a_ledger_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="t "):
        text({"t": value}, "t")  # type: ignore[dict-item]


def test_blank_optional_text_is_none() -> None:
    assert optional_text({"t": "  "}, "t") is None
    assert optional_text({"t": " a "}, "t") == "a"


def test_epoch_seconds_and_milliseconds_are_told_apart_by_their_range() -> None:
    assert instant_of_epoch({"at": 1790000000}, "at") == datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)
    assert instant_of_epoch({"at": "1790000000123"}, "at", unit="ms").microsecond == 123_000
    for wrong in (1790000000123, 0, -5, "1e9", Decimal("1.5"), None, True, "1" * 40, 10**60):
        with pytest.raises(ValueError, match="at "):
            instant_of_epoch({"at": wrong}, "at")  # type: ignore[dict-item]


def test_an_instant_needs_a_zone_and_a_plausible_year() -> None:
    assert instant({"at": "2026-09-21T22:00:00+10:00"}, "at") == NOW
    for wrong in ("2026-09-21T12:00:00", "yesterday", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", ""):
        with pytest.raises(ValueError, match="at "):
            instant({"at": wrong}, "at")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b'{"a": 1', "not JSON"),
        (b"\xff\xfe\x00\x01", "not UTF-8"),
        (b"\x1f\x8b\x08\x00binary", "not"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"a":' * 200_000, "nested too deep"),
        (b'"text"', "bare text"),
        (b"17", "bare number"),
        (b"null", "bare null"),
        (b"NaN", "bare text"),
        (b"x" * 50_000_000, "over the limit"),
    ],
)
def test_a_body_that_is_no_json_object_or_list_is_named_in_one_line(body: bytes, said: str) -> None:
    with pytest.raises(PayloadChangedError, match=said) as refused:
        read_json(Payload("x", body, NOW, ""))

    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200
