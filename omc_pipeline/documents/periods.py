"""Whether what stands around a figure says the period that a fact claims."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from omc_pipeline.documents.dates import ANNOUNCED, days, spans

_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_QUARTERS = {
    "Q1": ("first", "03-31", "march"),
    "Q2": ("second", "06-30", "june"),
    "Q3": ("third", "09-30", "september"),
    "Q4": ("fourth", "12-31", "december"),
}
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_IN_QUARTER = re.compile(
    r"\b(?:first|second|third|fourth)[- ]quarter\s+(?:of\s+)?(?:fiscal\s+)?(?:year\s+)?(?:19|20)\d\d|\bQ[1-4]\s?(?:19|20)\d\d",
    re.IGNORECASE,
)
_MONTH_YEAR = re.compile(rf"\b(?:in|for|during)\s+(?:the month of\s+)?({'|'.join(_MONTHS)})\s+((?:19|20)\d\d)\b", re.IGNORECASE)
_SPANS = re.compile(r"\b(?:three|six|nine|twelve)[- ]months?\b|\bquarter\b|\bweek\b|\bsince\b", re.IGNORECASE)
_NAMED_MONTH = re.compile(rf"\b({'|'.join(_MONTHS)})\s+((?:19|20)\d\d)\b", re.IGNORECASE)
_AS_OF = re.compile(r"\b(?:as of|as at)\s*$", re.IGNORECASE)
_PRIOR = re.compile(r"\bprior[- ]year|\bprior period|\byear[- ]ago|\blast year|\bprevious year", re.IGNORECASE)
_HAPPENED = re.compile(r"\b(?:on|as of|as at|since|ended|ending|from|between|until|through)\s*(?:\w+day,?\s*)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Said:
    """What may say a period, the nearest first; ``earlier`` is what the passage says before the sentence."""

    sentence: str
    heads: str
    heading: str
    before: str
    dated: tuple[date, ...]
    literal: str
    earlier: str = ""

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
    if not _qualified(period, said):
        return False
    wanted = [date.fromisoformat(day) for day in _DAY.findall(period) if _is_day(day)]
    return _bears_days(period, wanted, said) if wanted else _bears_coarse(period, said)


def _bears_days(period: str, wanted: list[date], said: Said) -> bool:
    year = said.year
    near = _stated_days(f"{said.heads} ; {said.sentence}", year)
    above, days_wanted = {day.day for day in days(said.heading, year)}, set(wanted)
    if not _fits_heads(period, wanted, said, year) or _is_end_of_span(wanted, said, year):
        return False
    before = {day.day for day in days(said.before, year)}
    missing = days_wanted - near if days_wanted & near else set()
    if missing and (len(near) > 1 or not (missing <= above | before or _SPANS.search(said.sentence))):
        return False
    if not near and not _fits_months(wanted, said):
        return False
    if days_wanted <= near:
        return _nearest(period, wanted, said, year)
    if near and not days_wanted & near and not _only_dateline(near, said, said.sentence):
        return days_wanted <= above
    earlier = set() if near else _stated_days(said.earlier, year)
    if earlier and period.startswith("as of") and not _only_dateline(earlier, said, said.earlier):
        return days_wanted <= earlier
    if not near and above and not _only_dateline(above, said, said.heading):
        return days_wanted <= above | set(said.dated[:2]) | earlier
    known = near | above | before | set(said.dated)
    return all(day in known or _implied(day, said) for day in wanted) or ("/" in period and _implied_span(wanted, said))


def _qualified(period: str, said: Said) -> bool:
    """Whether the word before a period's day, such as *closed* or *notice*, is said where the figure stands."""
    word = re.match(r"(closed|notice|week|since|settled|expires?|until)\b", period)
    if word is None:
        return True
    near = f"{said.heads} {said.sentence}"
    return word[1][:5] in (f"{near} {said.heading} {said.before}" if word[1] == "week" else near).lower()


def _stated_days(text: str, year: int | None) -> set[date]:
    """Return the days a text names; the day of an announcement only where there is no other."""
    stated = {day.day for day in days(ANNOUNCED.sub(" ", text), year)}
    return stated or {day.day for day in days(text, year)}


def _is_end_of_span(wanted: list[date], said: Said, year: int | None) -> bool:
    """Whether a single day is only the first or the last of a span that the heads or the sentence name."""
    if len(wanted) > 1:
        return False
    for text in (said.heads, said.sentence):
        named = days(text, year)
        ends = {end for span in spans(text, list(named)) for end in span.split("/")}
        if str(wanted[0]) in ends:
            return not any(day.day == wanted[0] and _AS_OF.search(text[: day.start]) for day in named)
    return False


def _fits_months(wanted: list[date], said: Said) -> bool:
    """Whether days lie in a quarter or a month that the sentence names by its year, where it names one."""
    named = [
        *_quarters_in(said.sentence),
        *(f"{year}-{_MONTHS.index(name.lower()) + 1:02}" for name, year in _MONTH_YEAR.findall(said.sentence)),
    ]
    return not named or any(all(_lies_in(day, span) for day in wanted) for span in named)


def _quarters_in(text: str) -> list[str]:
    numbers = {word: quarter for quarter, (word, _, _) in _QUARTERS.items()}
    found = _IN_QUARTER.finditer(text)
    return [f"{match[0][-4:]}-{numbers.get(re.split(r'[- ]', match[0].lower())[0], match[0][:2].upper())}" for match in found]


def _lies_in(day: date, span: str) -> bool:
    return f"{day.year}-Q{(day.month + 2) // 3}" == span or f"{day:%Y-%m}" == span


def _fits_heads(period: str, wanted: list[date], said: Said, year: int | None) -> bool:
    """Whether a period is that of its column: a balance in one of a day, a flow in one of a span."""
    in_heads = {day.day for day in days(said.heads, year)}
    if not in_heads:
        return True
    if wanted[-1] not in in_heads or (len(wanted) > 1 and wanted[0] not in in_heads and (wanted[-1] - wanted[0]).days > 7):
        return False
    is_balance = bool(re.search(r"\bas (?:of|at)\b", said.heads, re.IGNORECASE))
    is_flow = bool(re.search(r"\b(?:during|months|weeks?|period|ended|ending|from)\b", said.heads, re.IGNORECASE))
    is_span = bool(re.search(r"\b(?:during|months|from)\b", said.heads, re.IGNORECASE))
    return not (period.startswith("as of") and is_span and not is_balance) and not ("/" in period and is_balance and not is_flow)


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


def _only_dateline(near: set[date], said: Said, text: str) -> bool:
    """Whether the only day in the sentence is the document's own date, which stands there for itself: *On* a day something happened."""
    if not said.dated or not near <= set(said.dated[:2]):
        return False
    stated = ANNOUNCED.sub(" ", text)
    return not any(_HAPPENED.search(stated[: day.start]) for day in days(stated, said.year))


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
        if not _is_of_quarter(text, names) or (_MONTH_YEAR.search(said.sentence) and not any(each in text for each in names)):
            return False
        return any(each in wide for each in names) and _year_nearest(year, said, wide)
    if month:
        in_heads = {f"{of}-{_MONTHS.index(name.lower()) + 1:02}" for name, of in _NAMED_MONTH.findall(said.heads)}
        if in_heads and period.removeprefix("as of ") not in in_heads:
            return False
        if days(f"{said.heads} ; {said.sentence}"):
            return any(f"{day.day:%Y-%m}" == period.removeprefix("as of ") for day in days(f"{said.heads} ; {said.sentence}"))
        name = _MONTHS[int(month[1]) - 1]
        if re.search(r"\bquarter\b|\bthree[- ]months\b|\bfull[- ]year\b|\byear ended\b", text) and not re.search(rf"\b{name[:3]}", text):
            return False
        is_said = re.search(rf"\b(?:{name}|{name[:3]}\.?)(?!\w)", wide) or re.search(rf"\b{year}-{month[1]}-", dated)
        beside = re.search(rf"\b{name[:3]}\w*\.?[^.;]{{0,14}}\b{year}\b", wide) is not None
        in_sentence = re.search(rf"\b{name[:3]}", text) and (year in wide or year in dated)
        return bool(is_said) and bool(beside or year in text or year == str(said.year) or in_sentence)
    return _is_of_year(year, said) and _year_nearest(year, said, wide)


def _is_of_quarter(text: str, names: tuple[str, ...]) -> bool:
    """Whether a sentence that names a day or a whole year names the quarter too; one that names neither may mean the quarter above."""
    is_else = bool(re.search(r"\b(?:full[- ]year|as of|as at|year ended|annual)\b", text))
    return not is_else or any(each in text for each in names) or bool(re.search(r"\bquarter\b|\bthree[- ]months\b", text))


def _is_of_year(year: str, said: Said) -> bool:
    """Whether a year is said for itself near the figure or above it, not only as a part of a day."""
    text = f"{said.heads} {said.sentence} {said.heading}"
    named = days(text, said.year)
    bare = "".join(" " if any(day.start <= at < day.end for day in named) else letter for at, letter in enumerate(text))
    bare = _IN_QUARTER.sub(" ", bare)
    return (
        year in bare
        or (year in _IN_QUARTER.sub(" ", text) and bool(re.search(r"\byears?\b|\bannual", text, re.IGNORECASE)))
        or bool(_PRIOR.search(text))
    )


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
    if _PRIOR.search(said.sentence[end:limit]):
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
    return bool(_SPANS.search(text)) and end in {day.day for day in days(text, said.year)}


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
