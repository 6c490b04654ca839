"""Numbers as people write them: currency signs, thousands marks, decimal commas; what can be read in two ways is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from omc_pipeline.pnl.amounts import DECIMALS, decimal_of, parse_decimal, rounded_units

Mark = Literal["point", "comma"]
_SIGNS = re.compile(r"[€$£¥₩₹₿\s  ']|(?<![A-Z])(?:A|US|AU|C|NZ|HK|S)(?=\$)")
_PARENTHESES = re.compile(r"\((.+)\)")
_WITH_COIN = re.compile(r"([+-]?[0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z0-9][A-Za-z0-9._-]*)?")
USUAL_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.([0-9]{1,40}))?")
"""How nearly every number is written; it needs no further look unless the file has decimal commas."""
USUAL_WITH_COIN = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,40})?) ?([A-Z][A-Z0-9]{1,9})")
_ZERO = Decimal(0)
_BOTH_WAYS = re.compile(r"[+-]?[0-9]{1,3}(?:[.,][0-9]{3})")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:([.,])[0-9]{3})(?:\1[0-9]{3})*")
_POINT = re.compile(r"[+-]?[0-9]*(?:,[0-9]{3})*\.[0-9]+")
_COMMA = re.compile(r"[+-]?[0-9]*(?:\.[0-9]{3})*,[0-9]+")


class TwoReadingsError(ValueError):
    """A number that can be read in two ways."""


def bare(text: str) -> str:
    """Return a number without currency signs and blanks; one in parentheses is negative, as in accounts."""
    stripped = _SIGNS.sub("", text.replace("−", "-").strip())
    inner = _PARENTHESES.fullmatch(stripped)
    return f"-{inner[1]}" if inner else stripped


def decimal_mark(cells: Iterable[str]) -> Mark | None:
    """Return what separates decimals, from cells that can be read in one way only; None where none of them tells, or they differ."""
    point = comma = False
    for cell in cells:
        if "," not in cell and (point or "." not in cell):  # a number without a comma says nothing new
            continue
        written = bare(cell)
        if _BOTH_WAYS.fullmatch(written):
            continue
        point = point or bool(_POINT.fullmatch(written))
        comma = comma or bool(_COMMA.fullmatch(written))
        if point and comma:
            return None
    return "point" if point else "comma" if comma else None


def read_number(text: str, mark: Mark | None) -> Decimal:
    """Read a number exactly.

    Args:
        text: As written.
        mark: What separates decimals; None: nobody knows.

    Raises:
        TwoReadingsError: ``1,234`` or the like, and nobody knows.
        ValueError: Not a number.
    """
    usual = USUAL_NUMBER.fullmatch(text)
    if usual is not None and (mark != "comma" or usual[1] is None):
        return Decimal(text) or _ZERO
    written = bare(text)
    if "," in written:
        written = _without_commas(written, mark, text)
    elif mark == "comma" and "." in written and _GROUPED.fullmatch(written):
        written = written.replace(".", "")
    return parse_decimal(written)


def _without_commas(written: str, mark: Mark | None, text: str) -> str:
    if "." in written:
        point_is_last = written.rindex(".") > written.rindex(",")
        if mark is not None and (mark == "point") is not point_is_last:
            raise ValueError(f"{text.strip()!r} separates decimals otherwise than the rest of the file")
        whole, fraction = written.replace(",", "").split(".", 1) if point_is_last else written.replace(".", "").split(",", 1)
        return f"{whole}.{fraction}"
    is_grouped = bool(_GROUPED.fullmatch(written))
    if is_grouped and mark is None and written.count(",") == 1:
        raise TwoReadingsError(f"{text.strip()!r} is a thousand times as much with a thousands mark as with a decimal comma")
    if is_grouped and (mark == "point" or written.count(",") > 1):
        return written.replace(",", "")
    if mark == "point":
        raise ValueError(f"{text.strip()!r} is not a number with a decimal point, as the rest of the file is written")
    return written.replace(",", ".", 1)


def with_coin(text: str) -> tuple[str, str]:
    """Split ``0.5ETH`` or ``0.5 AUD`` into number and coin; the coin is empty where none is written.

    Raises:
        ValueError: Neither a number nor one with its coin.
    """
    found = _WITH_COIN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text.strip()[:40]!r} is no amount")
    return found[1], (found[2] or "").upper()


def kept_digits(value: Decimal) -> tuple[Decimal, bool]:
    """Round to the decimals that a ledger keeps, half even, and say whether anything was rounded away."""
    if -value.as_tuple().exponent <= DECIMALS:  # type: ignore[operator]  # finite: ``parse_decimal`` reads no others
        return value, False
    nearest = decimal_of(rounded_units(value))
    return nearest, nearest != value
