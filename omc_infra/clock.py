"""Time as a parameter: code that needs the current time receives a clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Return the present as an aware UTC datetime."""


def utc_now() -> datetime:
    """Return the current time; only tests use another clock."""
    return datetime.now(UTC)


def parse_utc(text: str) -> datetime:
    """Read an ISO 8601 time with its zone.

    Returns:
        The same instant in UTC.

    Raises:
        ValueError: The text is no time, or has no zone: guessing one is how a backtest sees the future.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no zone; append Z or +00:00")
    return moment.astimezone(UTC)
