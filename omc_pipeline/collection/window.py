"""Ranges of UTC days, for collecting the past."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from omc_infra.errors import BadInputError

Step = Literal["hour", "day", "month"]
"""A span of time, aligned to the calendar in UTC."""


@dataclass(frozen=True)
class Window:
    """Instants from ``since`` (included) to ``until`` (excluded), both aware UTC."""

    since: datetime
    until: datetime

    @classmethod
    def of_days(cls, first: date, last: date) -> Window:
        """Return the window from the beginning of one day to the end of another.

        Raises:
            BadInputError: The last day is before the first.
        """
        if last < first:
            raise BadInputError(f"the range ends on {last}, before its start on {first}")
        return cls(_midnight(first), _midnight(last + timedelta(days=1)))

    @classmethod
    def parsed(cls, text: str) -> Window:
        """Read what ``str`` of a window wrote."""
        since, _, until = text.partition("/")
        return cls(datetime.fromisoformat(since), datetime.fromisoformat(until))

    @property
    def first_day(self) -> date:
        """The first day it touches."""
        return self.since.date()

    @property
    def last_day(self) -> date:
        """The last day it touches."""
        return (self.until - timedelta(microseconds=1)).date()

    def days(self) -> Iterator[date]:
        """Yield each day it touches, oldest first."""
        for number in range((self.last_day - self.first_day).days + 1):
            yield self.first_day + timedelta(days=number)

    def __contains__(self, moment: datetime) -> bool:
        """Return whether an instant lies within."""
        return self.since <= moment < self.until

    def __str__(self) -> str:
        """Write it as ISO 8601 does, ``<since>/<until>``."""
        return f"{self.since.isoformat()}/{self.until.isoformat()}"


def floor(moment: datetime, step: Step) -> datetime:
    """Return the start of the span that contains an instant."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    if step == "hour":
        return hour
    day = hour.replace(hour=0)
    return day if step == "day" else day.replace(day=1)


def following(start: datetime, step: Step) -> datetime:
    """Return the start of the span after the one that starts at ``start``."""
    if step == "month":
        return (start.replace(day=28) + timedelta(days=4)).replace(day=1)
    return start + (timedelta(hours=1) if step == "hour" else timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
