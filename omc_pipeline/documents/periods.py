"""Whether what stands around a figure says the period that a fact claims."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from omc_pipeline.documents.dates import days

_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_QUARTERS = {
    "Q1": ("first", "03-31", "march"),
    "Q2": ("second", "06-30", "june"),
    "Q3": ("third", "09-30", "september"),
    "Q4": ("fourth", "12-31", "december"),
}
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Said:
    """What may say a period, the nearest first."""

    sentence: str
    heads: str
    heading: str
    before: str
    dated: tuple[date, ...]
    literal: str

    @property
    def year(self) -> int | None:
        """The document's year."""
        return self.dated[0].year if self.dated else None


def bears_period(period: str, said: Said, kind: str) -> bool:
    """Say whether a claimed period is said: its days or its quarter, in the sentence, its heads, above, or as the document's date.

    A period that isn't claimed needs no support. Where the sentence or the heads name days of their own, those of a heading or of the
    document's date bear a period only if none of the sentence's is nearer to it.
    """
    if not period:
        return True
    if period.startswith("as of") and kind in ("coins_purchased", "coins_sold", "purchase_price_total"):
        return False
    if "/" in period and kind.startswith("holdings") and kind != "holdings_change":
        return False
    wanted = [date.fromisoformat(day) for day in _DAY.findall(period) if _is_day(day)]
    if not wanted:
        return _bears_coarse(period, said)
    year = said.year
    near = {day.day for day in days(f"{said.heads} ; {said.sentence}", year)}
    above = {day.day for day in days(said.heading, year)}
    before = {day.day for day in days(said.before, year)}
    if all(day in near for day in wanted):
        return _nearest(period, wanted, said, year)
    if near and not any(day in near for day in wanted) and not _only_dateline(near, said):
        return all(day in above for day in wanted)
    if not near and above and not said.heads.strip() and not _only_dateline(above, said):
        return all(day in above or day in set(said.dated[:2]) for day in wanted)
    if all(day in near | above | before | set(said.dated) or _implied(day, said) for day in wanted):
        return True
    return "/" in period and _implied_span(wanted, said)


def _nearest(period: str, wanted: list[date], said: Said, year: int | None) -> bool:
    """Of several *as of* days in a sentence the one that belongs to the figure: the first behind it, else the last before it."""
    if not period.startswith("as of") or said.heads.strip():
        return True
    at = said.sentence.find(said.literal)
    found = days(said.sentence, year)
    if at < 0 or len({day.day for day in found}) < 2:
        return True
    within = [day for day in found if at <= day.start < at + len(said.literal)]
    if within:
        return any(day.day in wanted for day in within)
    end = at + len(said.literal)
    behind = [day for day in found if day.start >= end and re.search(r"as (?:of|at)\s*$", said.sentence[: day.start])]
    if behind and not re.search(r"[;]|\bto\b.{0,40}\d", said.sentence[end : behind[0].start]):
        return behind[0].day in wanted or behind[0].start - end > 120
    return True


def _only_dateline(near: set[date], said: Said) -> bool:
    """Whether the only day in the sentence is the document's own date."""
    return bool(said.dated) and near <= set(said.dated[:2])


def _bears_coarse(period: str, said: Said) -> bool:
    text = f"{said.heads} {said.sentence}".lower()
    wide = f"{text} {said.heading} {said.before}".lower()
    years = _YEAR.findall(period)
    if not years:
        words = [word for word in re.findall(r"[a-z]+", period.lower()) if len(word) > 2]
        return all(word in wide for word in words)
    year, quarter = years[0], re.search(r"Q[1-4]", period)
    month = re.fullmatch(r"(?:as of )?\d{4}-(\d\d)", period)
    dated = " ".join(map(str, said.dated[:3]))
    if quarter:
        word, _end, name = _QUARTERS[quarter[0]]
        names = (quarter[0].lower(), f"{word} quarter", f"{word}-quarter", f"ended {name}", f"ending {name}")
        return any(each in wide for each in names) and _year_nearest(year, said, wide)
    if month:
        if days(f"{said.heads} ; {said.sentence}"):
            return any(f"{day.day:%Y-%m}" == period.removeprefix("as of ") for day in days(f"{said.heads} ; {said.sentence}"))
        name = _MONTHS[int(month[1]) - 1]
        return (name in wide or name[:3] in wide or f"-{month[1]}-" in dated) and (year in wide or year in dated)
    return _year_nearest(year, said, wide)


def _year_nearest(year: str, said: Said, wide: str) -> bool:
    """Of several years in a sentence the one that belongs to the figure: the nearest behind it in its clause, else before it."""
    at = said.sentence.find(said.literal)
    inside = _YEAR.findall(re.split(r"\bcompared\b|\bversus\b|\bfrom\b", said.literal)[0])
    if inside:
        return year in inside
    found = [(match.start(), match[0]) for match in _YEAR.finditer(said.sentence)]
    if at < 0 or not found:
        in_heads = _YEAR.findall(said.heads)
        return year in in_heads if in_heads else year in wide or any(str(day.year) == year for day in said.dated[:2])
    end = at + len(said.literal)
    stop = re.search(r"\bcompared\b|\bversus\b|\bagainst\b|[;]", said.sentence[end:])
    limit = end + stop.start() if stop else len(said.sentence)
    if re.search(r"\bprior[- ]year|\bprior period|\byear[- ]ago|\blast year|\bprevious year", said.sentence[end:limit], re.IGNORECASE):
        return bool(ahead_years := [int(value) for start, value in found if start < at]) and ahead_years[-1] - 1 == int(year)
    behind = [value for start, value in found if end <= start < limit]
    ahead = [value for start, value in found if start < at]
    return (behind[0] if behind else ahead[-1] if ahead else found[0][1]) == year


def _implied(day: date, said: Said) -> bool:
    """Whether a day ends or begins a month or a quarter that is named."""
    text = f"{said.heads} {said.sentence} {said.heading} {said.before}".lower()
    return f"{_MONTHS[day.month - 1]} {day.day}" in text and (str(day.year) in text or said.year == day.year)


def _implied_span(wanted: list[date], said: Said) -> bool:
    text = f"{said.heads} {said.sentence} {said.heading} {said.before}"
    end = wanted[-1]
    return bool(re.search(r"\b(?:three|six|nine|twelve)[- ]months?\b|\bquarter\b|\bweek\b|\bsince\b", text, re.IGNORECASE)) and end in {
        day.day for day in days(text, said.year)
    }


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
