"""Changes of a labelled fact that leave it true: another name for the same party, days, act or kind."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document

_SAME_KINDS = (
    ("holdings", "holdings_after"), ("holdings_after", "holdings"), ("holdings_before", "holdings"),
    ("officer_appointment", "officer_role"), ("vote_outcome", "proposal_outcome"), ("proposal_outcome", "vote_outcome"),
)  # fmt: skip
"""Kinds, and those that they may be called as well."""
_OWN_BALANCES = frozenset({"cash", "stablecoins", "crypto_assets_value", "unrealized_loss", "yield"})
_BALANCES = _OWN_BALANCES | {"holdings", "holdings_after", "holdings_before", "debt", "stockholders_equity", "shares_outstanding"}
_QUARTERS = {"Q1": "01-01/03-31", "Q2": "04-01/06-30", "Q3": "07-01/09-30", "Q4": "10-01/12-31"}
_LISTED = r"\((?:[^()]{0,30}\b)?(?:NASDAQ|Nasdaq|NYSE|AMEX|OTC\w*|TSX|ASX)[^()]{0,30}[:\s][^()]{0,30}\b"


def is_still_true(fact: DocumentFact, change: DocumentFact, document: Document) -> bool:
    """Whether a changed fact says the same as the fact did, so that refusing it would be wrong.

    Counted as the same, and nothing else:

    - *holdings* and *holdings after*, for both are what is held on a day; *holdings* for *holdings before*, but not the other way;
    - the outcome of a vote and of the proposal that was voted on; the role of a person who is appointed to it;
    - the name of a listed company and its ticker, where the document gives one behind the other, or both on its cover;
    - a security with and without its rate and series before its name;
    - one of the tokens of a list, for a day or a status of all of them;
    - the company instead of the asset, for its own balances and what it earns on them;
    - a balance of a day and one *as of* that day;
    - a quarter or a year and its first and last day; *actual* and no mood at all; a number with and without zeros behind its point.
    """
    same_kind = fact.kind == change.kind or (fact.kind, change.kind) in _SAME_KINDS
    same_value = _amount(fact.value) == _amount(change.value) and (fact.unit, fact.negated) == (change.unit, change.negated)
    return (
        same_kind
        and same_value
        and _days(fact) == _days(change)
        and (fact.modality or "actual") == (change.modality or "actual")
        and _is_same_subject(fact, change.subject, document)
    )


def _amount(value: str) -> str:
    """Return a value without the zeros behind its point that say nothing."""
    return value.rstrip("0").rstrip(".") if re.fullmatch(r"-?\d+\.\d+", value) else value


def _days(fact: DocumentFact) -> str:
    period = fact.period.removeprefix("as of ") if fact.kind in _BALANCES else fact.period
    quarter = re.fullmatch(r"(\d{4})-(Q[1-4])", period)
    if quarter:
        first, _, last = _QUARTERS[quarter[2]].partition("/")
        return f"{quarter[1]}-{first}/{quarter[1]}-{last}"
    return f"{period}-01-01/{period}-12-31" if re.fullmatch(r"\d{4}", period) else period


def _is_same_subject(fact: DocumentFact, other: str, document: Document) -> bool:
    subject = fact.subject
    if _without_rate(subject) == _without_rate(other) or _is_ticker_of(subject, other, document) or _is_ticker_of(other, subject, document):
        return True
    if fact.unit in ("date", "datetime", "status") and other in [part.strip() for part in subject.split(",")]:
        return True
    return fact.kind in _OWN_BALANCES and _is_listed(other, document)


def _without_rate(subject: str) -> str:
    return re.sub(r"^series \S+ ", "", re.sub(r"^[\d.]+%\s+", "", subject).lower())


@lru_cache(maxsize=1024)
def _is_ticker_of(ticker: str, name: str, document: Document) -> bool:
    """Whether a document writes a ticker in parentheses with its exchange right behind a name."""
    if not re.fullmatch(r"[A-Z]{2,6}", ticker):
        return False
    pattern = re.compile(rf"\b{re.escape(name)}\b[^().;]{{0,40}}(?:Inc\.|Corp\.|Ltd\.)?\s*{_LISTED}{ticker}\b")
    return any(pattern.search(passage.text) for passage in document.passages) or _is_on_cover(ticker, name, document)


def _is_on_cover(ticker: str, name: str, document: Document) -> bool:
    """Whether a cover names a registrant, and a ticker in its table of symbols."""
    cover = document.passages[:60]
    registrant = any(
        later.text.lower().startswith("(exact name of registrant") and earlier.text.lower().startswith(name.lower())
        for earlier, later in pairwise(cover)
    )
    has_symbols = any("trading symbol" in passage.text.lower() for passage in cover)
    return registrant and has_symbols and any(cell.text.strip() == ticker for passage in cover for cell in passage.cells)


@lru_cache(maxsize=1024)
def _is_listed(subject: str, document: Document) -> bool:
    """Whether a document names a listed party so, by its name or its ticker."""
    ticker = re.compile(rf"{_LISTED}{re.escape(subject)}\b")
    name = re.compile(rf"\b{re.escape(subject)}\b[^().;]{{0,40}}(?:Inc\.|Corp\.|Ltd\.)?\s*{_LISTED}[A-Z]{{2,6}}\b")
    return any(ticker.search(passage.text) or name.search(passage.text) for passage in document.passages)
