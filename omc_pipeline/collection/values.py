"""Read single values from a JSON row: exact amounts, clean text, instants. An invalid value raises a ``ValueError`` with the reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal

from omc_infra.clock import parse_utc
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.json_body import Json

LARGEST = Decimal(10) ** 20
"""Amounts must be smaller: ``NUMERIC(38,18)`` has 20 digits before the point."""
SMALLEST = Decimal("1e-18")
EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

_NUMBER = re.compile(r"[+-]?(\d{1,64}(\.\d{0,64})?|\.\d{1,64})([eE][+-]?\d{1,3})?", re.ASCII)
_DIGITS = re.compile(r"\d{1,16}", re.ASCII)
_LEDGER_PRECISION = Context(prec=80, rounding=ROUND_HALF_EVEN)
_LARGEST_EXPONENT, _SMALLEST_EXPONENT = LARGEST.adjusted(), SMALLEST.adjusted()


def amount(row: Mapping[str, Json], name: str, *, above: int | None = None, least: int | None = None) -> Decimal:
    """Return a number of a row, given as JSON number or as text, exactly.

    Digits beyond the ledger's 18 decimals are rounded half to even.

    Args:
        row: The JSON object.
        name: Its key.
        above: The number must be greater.
        least: The number must be at least this.

    Raises:
        ValueError: Missing, no number, NaN, infinite, out of the ledger's range or of the given bounds.
    """
    number = _exact(row.get(name), name)
    if above is not None and number <= above:
        raise ValueError(f"{name} {number} is not above {above}")
    if least is not None and number < least:
        raise ValueError(f"{name} {number} is below {least}")
    return number


def optional_amount(row: Mapping[str, Json], name: str, *, above: int | None = None, least: int | None = None) -> Decimal | None:
    """Return a number as ``amount`` does, or None where the key is missing or null."""
    return None if row.get(name) is None else amount(row, name, above=above, least=least)


def usable_amount(row: Mapping[str, Json], name: str, *, above: int | None = None, least: int | None = None) -> Decimal | None:
    """Return a number like ``amount``, or None if it is missing or invalid; for optional fields of a row."""
    try:
        return amount(row, name, above=above, least=least)
    except ValueError:
        return None


def text(row: Mapping[str, Json], name: str, longest: int = 500) -> str:
    """Return the trimmed text under a key.

    Raises:
        ValueError: Missing, no text, empty, too long, or of characters that a ledger can't hold.
    """
    value = row.get(name)
    if not isinstance(value, str):
        raise _unfit(name, value, "text")
    trimmed = value.strip()
    if not trimmed:
        raise ValueError(f"{name} is empty")
    if len(trimmed) > longest:
        raise ValueError(f"{name} is longer than {longest} characters")
    if not storable(trimmed):
        raise ValueError(f"{name} has control characters or unpaired surrogates")
    return trimmed


def optional_text(row: Mapping[str, Json], name: str, longest: int = 500) -> str | None:
    """Return text as ``text`` does, or None where it is missing, null or blank."""
    value = row.get(name)
    return None if value is None or (isinstance(value, str) and not value.strip()) else text(row, name, longest)


def instant_of_epoch(row: Mapping[str, Json], name: str, *, unit: str = "s") -> datetime:
    """Return the instant of a count of seconds (``s``) or milliseconds (``ms``) since 1970, given as integer or as digits.

    Raises:
        ValueError: Missing, not whole, or outside 1990 to 2100, as milliseconds read as seconds are.
    """
    value = row.get(name)
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _unfit(name, value, f"a count of {unit} since 1970")
    whole, rest = (value, 0) if unit == "s" else divmod(value, 1000)
    if not EARLIEST.timestamp() <= whole < LATEST.timestamp():
        raise ValueError(f"{name} {one_line(str(value), 30)} is not a time between 1990 and 2100 in {unit}")
    return datetime.fromtimestamp(whole, UTC).replace(microsecond=rest * 1000)


def instant(row: Mapping[str, Json], name: str) -> datetime:
    """Return the instant of an ISO 8601 text with its zone.

    Raises:
        ValueError: Missing, no such text, without zone, or outside 1990 to 2100.
    """
    written = text(row, name, 40)
    try:
        moment = parse_utc(written)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name} {one_line(written, 40)!r} is not an ISO 8601 time with a zone") from error
    if not EARLIEST <= moment < LATEST:
        raise ValueError(f"{name} {one_line(written, 40)!r} is not between 1990 and 2100")
    return moment


def storable(value: str) -> bool:
    """Return whether PostgreSQL and a terminal can hold a text: no NUL or other control character, no half surrogate pair."""
    return not any(character < " " or "\x7f" <= character < "\xa0" or "\ud800" <= character <= "\udfff" for character in value)


def described(value: Json) -> str:
    """Describe a value for a message: missing, the type of a container, or the shortened value."""
    if value is None:
        return "missing"
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return repr(one_line(str(value), 40))


def _unfit(name: str, value: Json, wanted: str) -> ValueError:
    if value is None:
        return ValueError(f"{name} is missing")
    return ValueError(f"{name} is {described(value)}, not {wanted}")


def _exact(value: Json, name: str) -> Decimal:
    if isinstance(value, str):
        written = value.strip()
        if not _NUMBER.fullmatch(written):
            raise _unfit(name, value, "a finite number")
        value = Decimal(written)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise _unfit(name, value, "a number")
    number = Decimal(value)
    if not number:
        return Decimal(0)
    if number.adjusted() >= _LARGEST_EXPONENT:
        raise ValueError(f"{name} {described(value)} is out of the ledger's range")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < _SMALLEST_EXPONENT:
        number = number.quantize(SMALLEST, context=_LEDGER_PRECISION)
        if not number:
            raise ValueError(f"{name} {described(value)} is below the ledger's smallest unit {SMALLEST}")
    return number
