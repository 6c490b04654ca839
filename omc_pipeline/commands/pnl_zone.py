"""Zones and bounds that the commands of profit and loss take."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from omc_infra.clock import parse_utc
from omc_infra.errors import BadInputError


def zone_of(option: str, name: str) -> tzinfo:
    """Return a zone by its name.

    Raises:
        BadInputError: There is none of that name.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return UTC if name.upper() == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInputError(f"{option}: there is no zone {name!r}; use a name such as UTC or Australia/Sydney") from error


def bound_of(option: str, text: str | None, zone: tzinfo) -> datetime | None:
    """Read a bound: a day begins at its midnight in the zone, an instant says its own zone.

    Raises:
        BadInputError: Neither a day nor a time.
    """
    if text is None:
        return None
    try:
        if len(text) == len("2026-01-31"):
            return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
        return parse_utc(text)
    except (ValueError, OverflowError) as error:
        raise BadInputError(f"{option}: {error}") from error
