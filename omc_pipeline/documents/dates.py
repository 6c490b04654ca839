"""Days and periods as documents write them, as ISO 8601: a day, ``from/to``, a quarter, ``as of`` a day."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

_MONTHS = {
    name: number
    for number, names in enumerate(
        ("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
         "september sep sept", "october oct", "november nov", "december dec"), 1,
    )
    for name in names.split()
}  # fmt: skip
_MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?"
_DAY = re.compile(
    rf"(?P<month>{_MONTH})\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<year>(?:19|20)\d\d))?"
    rf"|(?P<iso>(?:19|20)\d\d-\d\d-\d\d)|(?P<slash>\d{{1,2}}/\d{{1,2}}/(?:\d\d){{1,2}})",
    re.IGNORECASE,
)
_JOINS = re.compile(
    r"^\s*(?:through|to|and|until|-|–|—)\s*(?:(?:and )?including\s*)?(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,?\s*)?$", re.IGNORECASE
)
_QUARTER = re.compile(
    r"\bQ(?P<q>[1-4])\s?(?P<y>20\d\d)\b|\b(?P<word>first|second|third|fourth)\s+quarter\s+(?:of\s+)?(?:fiscal\s+)?(?P<y2>20\d\d)\b",
    re.IGNORECASE,
)
_MONTHS_ENDED = re.compile(
    r"\b(three|six|nine|twelve)[- ]months?(?:[- ]period)? end(?:ed|ing)\s+|\bquarter end(?:ed|ing)\s+", re.IGNORECASE
)
_SPANNED = {"three": 3, "six": 6, "nine": 9, "twelve": 12}
ANNOUNCED = re.compile(
    rf"\bOn {_MONTH}\s+\d{{1,2}},?\s+(?:19|20)\d\d,?\s+(?:[\w“”()&.,’'\"-]+\s+){{1,12}}?(?:also\s+)?(?:announced|disclosed|reported|issued a press release)\b",
    re.IGNORECASE,
)
"""The day of an announcement is not the day of what it tells."""
_WORDS = {"first": 1, "second": 2, "third": 3, "fourth": 4}


@dataclass(frozen=True)
class Day:
    """A day that a text names, and where."""

    day: date
    start: int
    end: int


@lru_cache(maxsize=8192)
def days(text: str, year: int | None = None) -> tuple[Day, ...]:
    """Return the days a text names.

    Args:
        text: Of a sentence, a head or a heading.
        year: Of a day whose year isn't said; the year that is said next in the text wins. Without either the day is left out.
    """
    matches = list(_DAY.finditer(text))
    said = [_year(match) for match in matches]
    found = []
    for place, match in enumerate(matches):
        own = said[place] or next((later for later in said[place + 1 :] if later), None) or year
        day = _day(match, own)
        if day is not None:
            found.append(Day(day, match.start(), match.end()))
    return tuple(found)


def period_of(text: str, year: int | None = None) -> str:
    """Return the period a text is about: ``from/to``, a quarter, or ``as of`` a day where it says so; otherwise the only day, or nothing."""
    text = ANNOUNCED.sub(" ", text)
    found = days(text, year)
    span = next(iter(spans(text, found)), None)
    if span:
        return span
    months = _MONTHS_ENDED.search(text)
    ended = days(text[months.end() :][:30], year) if months else []
    if months and ended:
        return _ended(months[1], ended[0].day)
    quarter = _QUARTER.search(text)
    if quarter:
        number, of_year = (quarter["q"], quarter["y"]) if quarter["q"] else (_WORDS[quarter["word"].lower()], quarter["y2"])
        return f"{of_year}-Q{number}"
    if not found:
        return ""
    before = text[max(0, found[0].start - 25) : found[0].start]
    if re.search(r"\b(?:as (?:of|at)|at|on hand at)\s*(?:the close of business on\s*)?$", before, re.IGNORECASE):
        return f"as of {found[0].day}"
    if re.search(r"\bweek end(?:ing|ed)\s*(?:on\s*)?(?:\w+day,?\s*)?$", before, re.IGNORECASE):
        return f"week ending {found[0].day}"
    return str(found[0].day) if len(found) == 1 else ""


def _ended(months: str | None, end: date) -> str:
    """Return the months that end on a day; a calendar quarter by its name where the text says *quarter*."""
    if months is None:
        quarter = {(3, 31): 1, (6, 30): 2, (9, 30): 3, (12, 31): 4}.get((end.month, end.day))
        return f"{end.year}-Q{quarter}" if quarter else f"quarter ended {end}"
    first = end.month - _SPANNED[months.lower()] + 1
    start = date(end.year if first > 0 else end.year - 1, first if first > 0 else first + 12, 1)
    return f"{start}/{end}"


def spans(text: str, found: Sequence[Day]) -> Iterator[str]:
    """Yield ``from/to`` for neighbouring days that a word joins."""
    for first, second in itertools.pairwise(found):
        between = text[first.end : second.start].strip(", ")
        if _JOINS.match(between) and first.day <= second.day:
            yield f"{first.day}/{second.day}"


def as_of(text: str, year: int | None = None) -> str:
    """Return ``as of`` the day that a text says a balance is of, or nothing."""
    for day in days(text, year):
        before = text[max(0, day.start - 45) : day.start]
        if re.search(
            r"\b(?:as (?:of|at)|at)\s*(?:(?:the )?close of business (?:on )?)?(?:\d{1,2}:\d\d\s?[ap]\.?m\.?\s?\w* (?:on )?)?(?:\w+day,?\s*)?$",
            before,
            re.IGNORECASE,
        ):
            return f"as of {day.day}"
    return ""


def month_end(year: int, month: int) -> date:
    """Return the last day of a month."""
    return (date(year + month // 12, month % 12 + 1, 1)) - timedelta(days=1)


def _year(match: re.Match[str]) -> int | None:
    if match["year"]:
        return int(match["year"])
    if match["iso"]:
        return int(match["iso"][:4])
    if match["slash"]:
        year = int(match["slash"].rsplit("/", 1)[1])
        return year + 2000 if year < 100 else year
    return None


def _day(match: re.Match[str], year: int | None) -> date | None:
    try:
        if match["iso"]:
            return date.fromisoformat(match["iso"])
        if match["slash"]:
            month, day, _ = map(int, match["slash"].split("/"))
            return date(year or 0, month, day)
        return date(year or 0, _MONTHS[match["month"].lower().rstrip(".")], int(match["day"]))
    except ValueError:
        return None
