"""Windows and calendar periods, half-open: an instant on a bound belongs to what begins there, and to nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal, NamedTuple, get_args

from omc_infra.errors import BadInputError

PeriodKind = Literal["hour", "day", "week", "month"]
PERIOD_KINDS: tuple[PeriodKind, ...] = get_args(PeriodKind)


@dataclass(frozen=True, slots=True)
class Window:
    """From ``start``, included, to ``end``, excluded; None is open."""

    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise BadInputError(f"nothing lies between {self.start.isoformat()} and {self.end.isoformat()}; from must be before to")

    def has(self, moment: datetime) -> bool:
        """Return whether an instant lies within."""
        return not self.is_after(moment) and (self.end is None or moment < self.end)

    def is_after(self, moment: datetime) -> bool:
        """Return whether the window begins only after an instant."""
        return self.start is not None and moment < self.start


class Period(NamedTuple):
    """One hour, day, week from Monday, or calendar month of a zone; bounds in UTC."""

    start: datetime
    end: datetime
    label: str


def period_of(moment: datetime, kind: PeriodKind, zone: tzinfo = UTC) -> Period:
    """Return the period that an instant lies in, by the clocks of a zone; an hour that clocks show twice is two periods."""
    local = moment.astimezone(zone)
    if kind == "hour":
        first = local.replace(minute=0, second=0, microsecond=0)
        start = first.astimezone(UTC)
        return Period(start, start + timedelta(hours=1), first.isoformat(timespec="minutes"))
    today = local.date()
    if kind == "day":
        return _days(today, today + timedelta(days=1), zone, today.isoformat())
    if kind == "week":
        monday = today - timedelta(days=today.weekday())
        year, week, _ = monday.isocalendar()
        return _days(monday, monday + timedelta(days=7), zone, f"{year}-W{week:02}")
    first_day = today.replace(day=1)
    return _days(first_day, (first_day + timedelta(days=31)).replace(day=1), zone, f"{today:%Y-%m}")


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return the instant at which a day begins in a zone, in UTC."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def day_ends(start: datetime, last: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Return the ends of all days of a zone from that of ``start`` to that of ``last``, in UTC."""
    day, final = start.astimezone(zone).date(), last.astimezone(zone).date()
    while day <= final:
        day += timedelta(days=1)
        yield midnight(day, zone)


def _days(first: date, after: date, zone: tzinfo, label: str) -> Period:
    return Period(midnight(first, zone), midnight(after, zone), label)
