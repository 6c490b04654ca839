"""Read the dates that feeds write: RFC 822 with a zone, or ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from omc_infra.clock import parse_utc
from omc_pipeline.collection.body import one_line
from omc_pipeline.collection.values import EARLIEST, LATEST

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}T")
_LONGEST = 60


def feed_date(written: str, name: str) -> datetime:
    """Return the instant of a feed's date in UTC.

    Args:
        written: ``Wed, 30 Sep 2026 16:28:30 +0000``, with a numeric zone or one that RFC 822 names, or ISO 8601 with a zone.
        name: Of the element, for the message.

    Raises:
        ValueError: It is neither, has no zone or an unknown one, or lies outside 1990 to 2100.
    """
    text = written.strip()
    try:
        moment = parse_utc(text) if _ISO.match(text) else _rfc822(text)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise ValueError(f"{name} {one_line(text, 40)!r} is not an RFC 822 or ISO 8601 date with a zone") from error
    if not EARLIEST <= moment < LATEST:
        raise ValueError(f"{name} {one_line(text, 40)!r} is not between 1990 and 2100")
    return moment


def _rfc822(text: str) -> datetime:
    if len(text) > _LONGEST:
        raise ValueError("too long for a date")
    moment = parsedate_to_datetime(text)
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    if not text.endswith("-0000"):  # the only date without a zone that RFC 5322 gives a meaning: it is in UTC
        raise ValueError("no time zone, or an unknown one")
    return moment.replace(tzinfo=UTC)
