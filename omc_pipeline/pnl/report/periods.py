"""Windows and calendar periods. Both are half-open: the start is included, the end is not."""

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
    """A time range from ``start`` (included) to ``end`` (excluded); None: no limit."""

    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise BadInputError(f"the range from {self.start.isoformat()} to {self.end.isoformat()} is empty; from must be before to")

    def has(self, moment: datetime) -> bool:
        """Return whether the window contains an instant."""
        return not self.is_after(moment) and (self.end is None or moment < self.end)

    def is_after(self, moment: datetime) -> bool:
        """Return whether the window starts after an instant."""
        return self.start is not None and moment < self.start


class Period(NamedTuple):
    """An hour, day, week (from Monday) or calendar month in a time zone; ``start`` and ``end`` are in UTC."""

    start: datetime
    end: datetime
    label: str


def period_of(moment: datetime, kind: PeriodKind, zone: tzinfo = UTC) -> Period:
    """Return the period that contains an instant, in local time of a zone.

    When clocks are set back, the repeated hour is two periods.
    """
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
    """Return the start of a day in a zone, in UTC."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def day_ends(start: datetime, last: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield the end, in UTC, of each day in a zone, from the day of ``start`` to the day of ``last``."""
    day, final = start.astimezone(zone).date(), last.astimezone(zone).date()
    while day <= final:
        day += timedelta(days=1)
        yield midnight(day, zone)


def _days(first: date, after: date, zone: tzinfo, label: str) -> Period:
    return Period(midnight(first, zone), midnight(after, zone), label)
