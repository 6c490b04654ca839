"""Which endpoints are due at a tick of a source's schedule."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from omc_pipeline.collection.source import Endpoint, Source

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
"""Least and greatest value of each field of a cron line: minute, hour, day, month, weekday (0 and 7 are Sunday)."""


def due_endpoints(source: Source, tick: datetime | None) -> Sequence[Endpoint]:
    """Return the endpoints to ask.

    Args:
        source: Whose.
        tick: When a schedule said that the source is due; None, a run on demand, asks all.

    Returns:
        Those with a cron that matches the minute of the tick; all if none matches, so that no run is an empty success.
    """
    if tick is None:
        return source.endpoints
    return [endpoint for endpoint in source.endpoints if is_due(endpoint.cron, tick)] or source.endpoints


def is_due(cron: str, moment: datetime) -> bool:
    """Return whether a cron line of five fields, in UTC, matches the minute of an instant.

    Raises:
        ValueError: It is no such line.
    """
    minute, hour, day, month, weekday = (_values(field, *bounds) for field, bounds in zip(_fields(cron), _RANGES, strict=True))
    at = moment.astimezone(UTC)
    of_month, of_week = at.day in day, at.isoweekday() in weekday or (at.isoweekday() == 7 and 0 in weekday)
    written_day, written_weekday = (not _fields(cron)[at_].startswith("*") for at_ in (2, 4))
    is_day = (of_month or of_week) if written_day and written_weekday else of_month and of_week
    return at.minute in minute and at.hour in hour and at.month in month and is_day


def _fields(cron: str) -> list[str]:
    fields = cron.split()
    if len(fields) != len(_RANGES):
        raise ValueError(f"{cron!r} is not a cron line with five fields")
    return fields


def _values(field: str, least: int, greatest: int) -> set[int]:
    """Read ``*``, ``5``, ``1-5``, ``*/10``, ``7-59/15`` and lists of these."""
    values: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        low = least if span == "*" else int(first)
        high = greatest if span == "*" or (step and not last) else int(last or first)
        if not least <= low <= high <= greatest:
            raise ValueError(f"{part!r} of a cron line is not in the range {least}-{greatest}")
        values.update(range(low, high + 1, int(step or 1)))
    return values
