"""Times as people have them: ISO, spreadsheets, 12-hour clocks, seconds and milliseconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

DayOrder = Literal["day first", "month first"]
_EPOCH = re.compile(r"(?P<whole>[0-9]{9,13})(?:\.(?P<part>[0-9]{1,9}))?")
_SERIAL = re.compile(r"[2-7][0-9]{4}(?:\.[0-9]+)?")
_ISO = re.compile(
    r"(?P<day>\d{4}-\d{1,2}-\d{1,2})(?:[T ,]\s*(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
    r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2}(?:\s*UTC)?|[+-]\d{2})?)?"
)
_WRITTEN = re.compile(
    r"(?P<one>\d{1,2})[./-](?P<two>\d{1,2})[./-](?P<year>\d{4})(?:,?\s+(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
)
_SPREADSHEETS_BEGINNING = datetime(1899, 12, 30)  # noqa: DTZ001 a zone-less count of days, as spreadsheets keep it
_USUAL_LENGTH = len("2024-03-01 10:00:05")
_MILLISECONDS = 12
_HALF_A_DAY = 12


class NoZoneError(ValueError):
    """A time without a zone, and nobody said which."""


class DayOrderError(ValueError):
    """A day that can be read in two ways."""


def read_time(text: str, zone: tzinfo | None, order: DayOrder | None) -> tuple[datetime, bool]:
    """Read a time, and say whether its zone came from outside.

    Args:
        text: As written.
        zone: Of times that state none; None: they are refused.
        order: What comes first in ``2/3/2024``; None: refused unless one of the two is above 12, or the separator is a point.

    Returns:
        In UTC. A time that a clock shows twice when summer ends is the first of the two.

    Raises:
        NoZoneError: No zone is stated or given.
        DayOrderError: It could be two days.
        ValueError: Not a time, or none that the zone's clocks ever show.
    """
    written = text.strip()
    if zone is UTC and (moment := _usual(written)) is not None:
        return moment, True
    if epoch := _EPOCH.fullmatch(written):
        scale = 1000 if len(epoch["whole"]) >= _MILLISECONDS else 1
        micro = int(epoch["whole"]) * (1_000_000 // scale)
        micro += int((epoch["part"] or "0").ljust(9, "0")) // (1000 * scale)
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micro), False
    if _SERIAL.fullmatch(written):
        return _in_utc(_SPREADSHEETS_BEGINNING + timedelta(seconds=round(float(written) * 86400)), zone, written), True
    found = _ISO.fullmatch(written)
    if found:
        year, month, day = map(int, found["day"].split("-"))
    else:
        found = _WRITTEN.fullmatch(written)
        if not found:
            raise ValueError(f"{written[:40]!r} is no time")
        year = int(found["year"])
        month, day = _month_and_day(int(found["one"]), int(found["two"]), written, order)
    naive = datetime(year, month, day, *_clock(found["clock"], found["half"], written))  # noqa: DTZ001 its zone follows
    offset = _offset(found["zone"])
    if offset is not None:
        return (naive - offset).replace(tzinfo=UTC), False
    return _in_utc(naive, zone, written), True


def _usual(written: str) -> datetime | None:
    """Return a time in UTC written as ``2024-03-01 10:00:05``, as nearly every export does, or None where it is written otherwise."""
    if len(written) != _USUAL_LENGTH or written[4] != "-" or written[7] != "-" or written[13] != ":" or written[10] not in " T":
        return None
    try:
        return datetime.fromisoformat(written).replace(tzinfo=UTC)
    except ValueError:
        return None


def _month_and_day(one: int, two: int, written: str, order: DayOrder | None) -> tuple[int, int]:
    if order is None and "." not in written.split(maxsplit=1)[0] and one <= _HALF_A_DAY and two <= _HALF_A_DAY and one != two:
        raise DayOrderError(f"{written!r}: day or month first")
    if order == "month first" or (order is None and two > _HALF_A_DAY):
        return one, two
    return two, one


def _clock(clock: str | None, half: str | None, written: str) -> tuple[int, int, int, int]:
    if clock is None:
        raise ValueError(f"{written!r} is a day without a time")
    hour, minute, *rest = clock.replace(",", ".").split(":")
    second, _, part = (rest[0] if rest else "0").partition(".")
    if len(part) > 6 and part[6:].strip("0"):
        raise ValueError(f"{written!r} is finer than a microsecond, which would be lost")
    hours = int(hour)
    if half and hours <= _HALF_A_DAY:  # some exports write 14:05 PM
        hours = hours % _HALF_A_DAY + (_HALF_A_DAY if half[0] in "pP" else 0)
    return hours, int(minute), int(second), int(part[:6].ljust(6, "0"))


def _offset(zone: str | None) -> timedelta | None:
    if zone is None:
        return None
    digits = "".join(sign for sign in zone if sign.isdigit()).ljust(4, "0")
    return (-1 if zone[0] == "-" else 1) * timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]))


def _in_utc(naive: datetime, zone: tzinfo | None, written: str) -> datetime:
    if zone is None:
        raise NoZoneError(f"time {written!r} has no zone")
    moment = naive.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != naive:
        raise ValueError(f"{written!r} is a time that the clocks of {zone} pass over")
    return moment
