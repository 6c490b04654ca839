"""The values tools take: enumerations and checked codes, so that no argument can carry text."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum

from omc_infra.errors import BadInputError

MARKET_PROXY = "BTC"
"""The coin whose price stands for the market where an event names none."""
_EVENT_TYPE = r"[a-z][a-z0-9_]{0,31}"
SYMBOL_PATTERN = r"([A-Z0-9_]{1,30}:)?[A-Z0-9]{1,12}"
"""One to twelve capitals and digits, perhaps behind a venue and a colon where nobody knows the coin."""


class Timeframe(StrEnum):
    """How far back prices are looked at."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"

    @property
    def span(self) -> timedelta:
        """The length of the window."""
        return timedelta(days={Timeframe.DAY: 1, Timeframe.WEEK: 7, Timeframe.MONTH: 30}[self])


class SentimentSource(StrEnum):
    """Whose sentiment is read."""

    FEAR_GREED = "human_fear_greed"
    TITLES = "human_sentiment"
    ANY = "any"


def is_symbol(text: str) -> bool:
    """Say whether a text has the form of a stored symbol."""
    return re.fullmatch(SYMBOL_PATTERN, text, re.ASCII) is not None


def is_event_type(text: str) -> bool:
    """Say whether a text has the form of an event type."""
    return re.fullmatch(_EVENT_TYPE, text, re.ASCII) is not None


def checked_symbol(text: str) -> str:
    """Return a symbol as the ledgers store it.

    Raises:
        BadInputError: It has another shape.
    """
    return _checked(text, SYMBOL_PATTERN, "symbol")


def checked_event_type(text: str) -> str:
    """Return an event type.

    Raises:
        BadInputError: Not a short word of small letters.
    """
    return _checked(text, _EVENT_TYPE, "event type")


def _checked(text: str, pattern: str, what: str) -> str:
    if not re.fullmatch(pattern, text, re.ASCII):
        raise BadInputError(f"{text[:40]!r} is no {what}; it must match {pattern}")
    return text
