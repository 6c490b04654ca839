"""How amounts, shares, times and counts look to a person: rounded, for display only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo

from omc_pipeline.pnl.amounts import DECIMALS, UNIT, rounded_quotient, text_of

UNKNOWN = "–"
MINUS = "−"
_SUFFIXES = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


def money(units: int | None, *, signed: bool = False) -> str:
    """Write an amount with two decimals and grouped thousands, half even; one that isn't known is a dash."""
    if units is None:
        return UNKNOWN
    cents = rounded_quotient(abs(units), 10 ** (DECIMALS - 2))
    return _sign(units, signed=signed and bool(cents)) * bool(cents) + f"{cents // 100:,}.{cents % 100:02d}"


def quantity(units: int) -> str:
    """Write units of a coin with at most eight decimals; a smaller amount keeps all of its own."""
    if 0 < abs(units) < 10 ** (DECIMALS - 8):
        return text_of(units).replace("-", MINUS)
    whole, fraction = divmod(rounded_quotient(abs(units), 10 ** (DECIMALS - 8)), 10**8)
    decimals = f".{fraction:08d}".rstrip("0").rstrip(".") if fraction else ""
    return _sign(units, signed=False) + f"{whole:,}{decimals}"


def price(units: int | None) -> str:
    """Write a price with two decimals, one below 1 with as many as a quantity."""
    return UNKNOWN if units is None else money(units) if abs(units) >= UNIT else quantity(units)


def percent(share: float | None, *, signed: bool = False) -> str:
    """Write a share as per cent with two decimals."""
    if share is None:
        return UNKNOWN
    shown = f"{abs(share) * 100:,.2f}"
    sign = "" if not shown.strip("0.,") else MINUS if share < 0 else "+" if signed else ""
    return f"{sign}{shown} %"


def ratio(value: float | None) -> str:
    """Write a ratio with two decimals."""
    return UNKNOWN if value is None else f"{value:,.2f}".replace("-", MINUS)


def days(count: float | None) -> str:
    """Write a number of days, below two days as hours."""
    if count is None:
        return UNKNOWN
    return f"{count:,.1f} days" if count >= 2 else f"{count * 24:,.1f} hours"


def short(amount: float) -> str:
    """Write an axis label: at most four characters of digits and a suffix."""
    size = abs(amount)
    scale, suffix = next(((scale, suffix) for scale, suffix in _SUFFIXES if size >= scale), (1, ""))
    return (MINUS if amount < 0 else "") + f"{size / scale:.4g}" + suffix


def day(value: date) -> str:
    """Write a day as 5 Jan 2026."""
    return f"{value.day} {value:%b %Y}"


def moment(value: datetime, zone: tzinfo) -> str:
    """Write an instant by the clocks of a zone, to the minute."""
    return f"{value.astimezone(zone):%Y-%m-%d %H:%M}"


def span(held: timedelta) -> str:
    """Write how long something was held."""
    return days(held / timedelta(days=1))


def listed(names: Sequence[str]) -> str:
    """Write names with commas."""
    return ", ".join(names)


def _sign(units: int, *, signed: bool) -> str:
    return MINUS if units < 0 else "+" if signed else ""
