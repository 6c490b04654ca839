"""Maintenance windows: times in which alerts of some sources are not announced, as a person writes them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_REPEATED = re.compile(r"(daily|mon|tue|wed|thu|fri|sat|sun) ([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)(?: (\S{1,80}))?", re.ASCII)
_ONCE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)/(\d{4}-\d\d-\d\dT\d\d:\d\d)(?: (\S{1,80}))?", re.ASCII)
EXAMPLES = "`daily 02:00-03:30`, `sun 22:00-06:00 exchange_*` or `2026-12-01T08:00/2026-12-01T12:00 glass_defillama`"


@dataclass(frozen=True)
class Window:
    """A window; either it is repeated, or it has a beginning and an end.

    Attributes:
        pattern: Of the sources, as in file names.
        days: Weekdays on which it begins, Monday is 0; empty for one that is not repeated.
        minute: Of the day, UTC, at which it begins.
        length: How long it is.
        begin: When one that is not repeated begins.
    """

    pattern: str
    days: frozenset[int]
    minute: int
    length: timedelta
    begin: datetime | None = None

    def covers(self, source: str, now: datetime) -> bool:
        """Tell whether alerts of a source are silent at a time."""
        if not fnmatchcase(source, self.pattern):
            return False
        if self.begin is not None:
            return self.begin <= now < self.begin + self.length
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        begins = (midnight - timedelta(days=back) + timedelta(minutes=self.minute) for back in (0, 1))
        return any(begin.weekday() in self.days and begin <= now < begin + self.length for begin in begins)


def window_of(written: str) -> Window:
    """Read a window.

    Raises:
        ValueError: It is none; the message shows what one looks like.
    """
    if repeated := _REPEATED.fullmatch(written):
        day, *numbers, pattern = repeated.groups()
        from_h, from_m, to_h, to_m = map(int, numbers)
        begin, end = from_h * 60 + from_m, to_h * 60 + to_m
        days = frozenset(range(7)) if day == "daily" else frozenset({DAYS.index(day)})
        return Window(pattern or "*", days, begin, timedelta(minutes=(end - begin) % 1440 or 1440))
    if once := _ONCE.fullmatch(written):
        first, last = (_moment(part) for part in once.groups()[:2])
        if first is not None and last is not None and first < last:
            return Window(once[3] or "*", frozenset(), 0, last - first, first)
    raise ValueError(f"must be like {EXAMPLES}; times are UTC")


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
