"""Whether what a document says has the mood that a fact claims: done, proposed, expected, under a condition."""

from __future__ import annotations

import re
from functools import lru_cache

from omc_pipeline.documents.events import DAY_UNITS
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.places import Place
from omc_pipeline.documents.reader import fold
from omc_pipeline.documents.vocabulary import MOODS, OPEN, kind_of

_CLAUSE = re.compile(r"[;.]\s|\bwhich\b|\band (?:has|had)\b")
_OF_NOTES = frozenset({"notes_principal", "option_principal", "interest_rate", "maturity"})
_PROPOSES = re.compile(r"\bpropos(?:es|ed)\b[^.]{0,60}\b(?:offering|notes)\b|\b(?:intends?|intention) to offer\b", re.IGNORECASE)
_PAST_PROPOSAL = re.compile(
    r"\b(?:priced|completed|consummated|upsized|announc(?:es|ed)\b[^.]{0,80}\b(?:pricing|closing|completion))\b", re.IGNORECASE
)
_PROMISED = frozenset({"compensation", "loan", "loan_fund"})
"""Kinds of which *will* makes a promise, not a term."""
_EXPECTS = re.compile(r"\b(?:expect|estimat|anticipat)\w*", re.IGNORECASE)
_STRICT_UNITS = frozenset({*DAY_UNITS, "name", "role", "rule", "ticker", "venue", "days"})
"""Units of which a mood is said right before the value, not anywhere in its clause."""
_LEAVE_OPEN = frozenset({"proposed", "intended", "expected", "hoped", "conditional", "anticipated"})


def mood_refusal(place: Place, fact: DocumentFact, document: Document) -> str | None:
    """Say why a document does not say a fact in its mood, or None where it does; a fact without a mood is said to be so."""
    return _claimed(place, fact, document) if fact.modality else _without_mood(place, fact, document)


def _claimed(place: Place, fact: DocumentFact, document: Document) -> str | None:
    mood = (fact.modality or "").split(" ", 1)[0].split(",")[0].lower()
    words = MOODS.get(mood)
    if words is None:
        return "no such mood"
    literal = fold(fact.literal)
    is_left_open = mood in _LEAVE_OPEN
    before = _CLAUSE.split(place.before)[-1] if is_left_open else place.before
    after = re.split(r"[,;.(]|\bwhich\b", place.after)[0] if is_left_open else place.after
    is_proposed = fact.kind in _OF_NOTES and mood in ("proposed", "expected", "intended") and _is_only_proposed(document)
    if is_proposed and mood == "proposed":
        return None
    if not words.search(f"{before[-220:]} {literal} {after[:60]}"):
        return "the words there don't have this mood"
    if mood in ("actual", "priced") and OPEN.search(f"{place.before[-200:]} {literal}"):
        return "the words there leave it open"
    if fact.unit in _STRICT_UNITS and is_left_open and not words.search(f"{before[-60:].rpartition(',')[2]} {literal}"):
        return "the words there don't have this mood"
    if mood == "expected" and fact.kind != "proceeds" and not _EXPECTS.search(f"{before[-220:]} {literal} {after[:60]}"):
        return "the words there don't have this mood"
    return None


def _without_mood(place: Place, fact: DocumentFact, document: Document) -> str | None:
    literal = fold(fact.literal)
    if fact.kind in _OF_NOTES and _is_only_proposed(document):
        return "the notes are only proposed"
    if fact.kind.startswith("expected_"):
        return "what is expected is not simply so"
    if fact.kind in _PROMISED and re.search(r"\bwill\b[^.;]{0,80}$", place.before):
        return "the words there leave it open"
    before = _CLAUSE.split(place.before)[-1]
    if fact.kind in ("notes_principal", "option_principal") and MOODS["priced"].search(before) and not MOODS["actual"].search(before):
        return "the notes are only priced"
    if fact.kind == "proceeds" and MOODS["expected"].search(f"{before[-100:]} {literal}"):
        return "the words there leave it open"
    if kind_of(fact.kind).may_be_open:
        return None
    clause = _CLAUSE.split(place.before)[-1]
    clause = clause if fact.kind == "option_principal" else clause[-90:]
    is_open = OPEN.search(f"{clause} {literal.split('$')[0]}") and not re.search(r"\bpreviously announced\b", clause)
    return "the words there leave it open" if is_open else None


@lru_cache(maxsize=64)
def _is_only_proposed(document: Document) -> bool:
    """Whether a document opens with an offering that is proposed, and does not open with its price or its end."""
    opening = " ".join([document.title, *(passage.text[:400] for passage in document.passages[:5])])
    return bool(_PROPOSES.search(opening)) and not _PAST_PROPOSAL.search(opening)
