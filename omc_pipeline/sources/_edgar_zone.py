"""Find the time zone of a submissions file: all times end in ``Z``, but may be Eastern time.

The zone belongs to the file as served: one filer's file is Eastern today and UTC tomorrow. EDGAR accepts filings from 06:00 to 22:00
Eastern, which is 10:00 to 03:00 UTC; so an hour from 06 to 09 is written in Eastern time, and one from 23 to 03 in UTC. No file
mixed both (36 files looked at, 28 of them decided, 2026-11-27). Notices that the SEC itself files come at any hour and tell nothing.
A file that would be of the future in Eastern time is in UTC: nothing is filed before it was accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from omc_pipeline.collection.items import Item
from omc_pipeline.collection.values import instant

UTC_ZONE, EASTERN, OFFSET, UNDECIDED = "utc", "eastern", "offset", "undecided"
"""Values of ``published_zone``: as the file's hours decide, as an offset that is written out, or read as UTC for want of a decision."""

_OF_THE_SEC = ("EFFECT", "QUALIF")
_SKEW = timedelta(minutes=10)
"""By so much clocks may differ."""
_EASTERN_HOURS, _UTC_HOURS = range(6, 10), (23, 0, 1, 2, 3)


def zone_of(filings: Sequence[Item], fetched_at: datetime) -> str:
    """Return the zone of a file's filings; ``undecided`` if no hour shows it or hours contradict each other.

    Args:
        filings: All of the file.
        fetched_at: When the file was served: no filing in it is of a later time.
    """
    hours = {hour for filing in filings if (hour := _hour(filing)) is not None}
    is_eastern, is_utc = bool(hours.intersection(_EASTERN_HOURS)), bool(hours.intersection(_UTC_HOURS))
    if is_eastern == is_utc:
        return UNDECIDED
    return EASTERN if is_eastern and not _is_of_the_future(filings, fetched_at) else UTC_ZONE


def accepted_at(filing: Item, zone: str) -> datetime:
    """Return when a filing was accepted, its written time being one of the file's zone.

    Raises:
        ValueError: The time is missing or malformed.
    """
    written = instant(filing, "acceptanceDateTime")
    if zone != EASTERN or not _ends_in_z(filing):
        return written
    return written.replace(tzinfo=_eastern()).astimezone(UTC)


def _is_of_the_future(filings: Iterable[Item], fetched_at: datetime) -> bool:
    """Tell whether a time that the file writes would be later in Eastern time than the file, but not in UTC."""
    latest = fetched_at + _SKEW
    for filing in filings:
        try:
            if accepted_at(filing, UTC_ZONE) <= latest < accepted_at(filing, EASTERN):
                return True
        except ValueError:  # its row is refused with this reason
            continue
    return False


def _hour(filing: Item) -> int | None:
    accession = filing.get("accessionNumber")
    if filing.get("form") in _OF_THE_SEC or not isinstance(accession, str) or accession.startswith("9999999"):
        return None
    try:
        return instant(filing, "acceptanceDateTime").hour if _ends_in_z(filing) else None
    except ValueError:  # its row is refused with this reason
        return None


def _ends_in_z(filing: Item) -> bool:
    written = filing.get("acceptanceDateTime")
    return isinstance(written, str) and written.strip().endswith("Z")


@lru_cache(maxsize=1)
def _eastern() -> ZoneInfo:
    return ZoneInfo("America/New_York")
