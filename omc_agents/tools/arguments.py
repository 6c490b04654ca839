"""The values tools take: enumerations and checked codes, so that no argument can carry text."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum

from omc_infra.errors import BadInputError

MARKET_PROXY = "BTC"
"""The coin whose price stands for the market where an event names none."""
_SYMBOL, _EVENT_TYPE = r"([A-Z0-9_]{1,30}:)?[A-Z0-9]{1,12}", r"[a-z][a-z0-9_]{0,31}"


class Timeframe(StrEnum):
    """How far back prices are looked at."""

    DAY = "24h"
    WEEK = "7d"

    @property
    def span(self) -> timedelta:
        """The length of the window."""
        return timedelta(days=7 if self is Timeframe.WEEK else 1)


class SentimentSource(StrEnum):
    """Whose sentiment is read."""

    FEAR_GREED = "human_fear_greed"
    TITLES = "human_sentiment"
    ANY = "any"


def is_symbol(text: str) -> bool:
    """Say whether a text has the form of a stored symbol."""
    return re.fullmatch(_SYMBOL, text, re.ASCII) is not None


def is_event_type(text: str) -> bool:
    """Say whether a text has the form of an event type."""
    return re.fullmatch(_EVENT_TYPE, text, re.ASCII) is not None


def checked_symbol(text: str) -> str:
    """Return a symbol as the ledgers store it.

    Raises:
        BadInputError: Not one to twelve capitals and digits, perhaps behind a venue and a colon where nobody knows the coin.
    """
    return _checked(text, _SYMBOL, "symbol")


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
