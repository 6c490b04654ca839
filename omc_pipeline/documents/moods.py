"""Whether what a document says has the mood that a fact claims: done, proposed, expected, under a condition."""

from __future__ import annotations

import re

from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.places import Place
from omc_pipeline.documents.reader import fold
from omc_pipeline.documents.vocabulary import MOODS, OPEN, kind_of


def mood_refusal(place: Place, fact: DocumentFact, document: Document) -> str | None:
    """Say why a document does not say a fact in its mood, or None where it does; a fact without a mood is said to be so."""
    kind = kind_of(fact.kind)
    literal = fold(fact.literal)
    if fact.modality:
        mood = fact.modality.split(" ", 1)[0].split(",")[0].lower()
        words = MOODS.get(mood)
        if words is None:
            return "no such mood"
        text = f"{place.before[-220:]} {literal} {place.after[:80]}"
        if not words.search(text):
            return "the words there don't have this mood"
        is_open = bool(OPEN.search(f"{place.before[-200:]} {literal}"))
        if mood in ("actual", "priced") and is_open:
            return "the words there leave it open"
        if mood in ("proposed", "intended", "expected", "hoped", "conditional", "anticipated") and not (
            is_open or words.search(f"{place.before[-220:]} {literal} {place.after[:60]}")
        ):
            return "the words there don't leave it open"
        return None
    if kind.may_be_open:
        return None
    clause = re.split(r"[;.]\s|\bwhich\b|\band (?:has|had)\b", place.before)[-1][-90:]
    return (
        "the words there leave it open"
        if OPEN.search(f"{clause} {literal.split('$')[0]}") and not re.search(r"\bpreviously announced\b", clause)
        else None
    )
