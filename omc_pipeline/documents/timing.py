"""Whether the period that a fact claims fits its kind and is said where its figure stands."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

from omc_pipeline.documents.dates import days
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document, Passage
from omc_pipeline.documents.periods import Said, bears_period
from omc_pipeline.documents.places import Place

_STOCKS = frozenset(
    [
        "cash",
        "debt",
        "stockholders_equity",
        "crypto_assets_value",
        "stablecoins",
        "holdings",
        "holdings_after",
        "holdings_before",
        "shares_outstanding",
        "aggregate_cost",
        "average_cost",
        "nav_per_share",
        "programme_remaining",
    ]
)
"""Kinds that are true of a day."""
"""Kinds that are true of a day."""
_FLOWS = frozenset(
    [
        "securities_sold",
        "average_price",
        "btc_yield",
        "revenue",
        "net_income",
        "eps",
        "operating_expenses",
        "coins_purchased",
        "coins_sold",
        "coins_mined",
        "purchase_price_total",
        "unrealized_loss",
        "hash_rate",
        "holdings_change",
        "insider_purchase",
        "staking_rewards",
    ]
)
"""Kinds that are true of a span."""
"""Kinds that are true of a span."""


_OF_A_DAY = re.compile(r"\b(?:as (?:of|at)|to date|at the (?:close|end)|at [A-Z][a-z]+ \d)\b", re.IGNORECASE)
_A_DAY = re.compile(r"(?:as of )?\d{4}-\d\d(?:-\d\d)?")
_MONTH = re.compile(r"(?:as of )?\d{4}-\d\d")
_RESULTS = frozenset({"revenue", "net_income", "eps", "operating_expenses", "unrealized_loss", "revenue_growth"})
_HELD = re.compile(r"\b(?:h[eo]ld\w*|owns?|owned|balance|treasury)\b", re.IGNORECASE)


def period_refusal(place: Place, fact: DocumentFact, document: Document) -> str | None:
    """Say why a fact can't have its period, or None where it can."""
    if fact.kind in _STOCKS and re.fullmatch(r"\d{4}-\d\d-\d\d", fact.period):
        fact = fact.within(f"as of {fact.period}")
    reason = _form_refusal(place, fact)
    if reason:
        return reason
    later = _later_day(fact, place, document)
    if later:
        return later
    said = Said(
        place.sentence,
        place.heads,
        place.passage.heading,
        _neighbours(place.passage, document),
        _dated(document),
        fact.literal,
        _earlier(place),
    )
    return None if bears_period(fact.period, said, fact.kind) else "the period is not said there"


def _form_refusal(place: Place, fact: DocumentFact) -> str | None:
    """Say that a balance has a span, a flow a day, or a sum of all until a day only that day."""
    period, is_balance = fact.period, fact.kind in _STOCKS
    if not period:
        return None
    if is_balance and not _A_DAY.fullmatch(period):
        return "this kind is true of a day"
    if (fact.kind in _FLOWS or fact.kind.endswith(("_growth", "_change"))) and period.startswith("as of"):
        return "this kind is true of a span"
    if fact.kind in _RESULTS and re.fullmatch(r"\d{4}-\d\d-\d\d", period):
        return "this kind is true of a span"
    if (
        is_balance
        and _MONTH.fullmatch(period)
        and any(str(day.day)[:7] == period[-7:] for day in days(f"{place.near} ; {_earlier(place)}"))
    ):
        return "the day is said there"
    if is_balance:
        return None
    if period.startswith("as of"):
        return None if _OF_A_DAY.search(place.around) else "it is not told as of a day"
    is_until = re.match(r"\W*(?:As of|To date)\b", place.sentence) and not re.search(r"\bon [A-Z]\w+ \d", place.sentence)
    return "it is told as of a day" if is_until and re.fullmatch(r"\d{4}-\d\d-\d\d", period) else None


def _earlier(place: Place) -> str:
    """Return what a paragraph says before a sentence."""
    at = place.passage.text.find(place.sentence)
    return place.passage.text[:at] if at > 0 else ""


def _later_day(fact: DocumentFact, place: Place, document: Document) -> str | None:
    """Tell holdings of two days apart: what is held after has no later day in its passage, what was held before has one in the document."""
    if fact.kind not in ("holdings_after", "holdings_before") or not fact.period.startswith("as of "):
        return None
    own = fact.period.removeprefix("as of ")
    if fact.kind == "holdings_after":
        own_dates = re.findall(r"\d{4}-\d\d-\d\d", " ".join(_as_of_days(place.passage.text)))
        return "it is what was held before" if any(day > own for day in own_dates) else None
    return None if any(day > own for day in _days_of_balances(document)) else "it is what is held after"


@lru_cache(maxsize=64)
def _days_of_balances(document: Document) -> tuple[str, ...]:
    held = [f"{passage.heading} {passage.text}" for passage in document.passages]
    return tuple(day for text in held if _HELD.search(text) for day in _as_of_days(text))


def _as_of_days(text: str) -> tuple[str, ...]:
    """Return the days that a text says balances are of."""
    return tuple(str(day.day) for day in days(text) if re.search(r"\bas (?:of|at)\s*(?:\w+day,?\s*)?$", text[: day.start], re.IGNORECASE))


def _neighbours(passage: Passage, document: Document) -> str:
    """Return the text of the few passages before, which may name the period for what follows, and of the same passage."""
    start = max(0, passage.number - 8)
    return " ".join(p.text for p in document.passages[start : passage.number])


@lru_cache(maxsize=64)
def _dated(document: Document) -> tuple[date, ...]:
    found = [day.day for passage in document.passages[:40] for day in days(passage.text[:600])]
    return tuple(dict.fromkeys(found))
