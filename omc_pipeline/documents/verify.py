"""Whether a passage bears a fact: code's own judgement, the same for rules and for every model.

A fact stands when its literal is in the passage and carries its value with unit, scale and sign; its subject is named in the same
sentence or row; its days are said there, above it, or by the document's date; and the words around the figure mean its kind and mood.
What can't be shown is refused: a fact left out costs less than a wrong one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from omc_pipeline.documents.contrast import kind_refusal
from omc_pipeline.documents.events import event_refusal
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.moods import mood_refusal
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.places import Place, places
from omc_pipeline.documents.reader import fold
from omc_pipeline.documents.subjects import subject_refusal
from omc_pipeline.documents.timing import period_refusal
from omc_pipeline.documents.units import mark_refusal, unit_refusal
from omc_pipeline.documents.values import value_refusal

_TESTS = (value_refusal, mark_refusal, unit_refusal, kind_refusal, event_refusal, subject_refusal, mood_refusal, period_refusal)
"""Each says why a fact can't stand at a place, or None; in the order in which reasons are told."""


def refusal(fact: DocumentFact, document: Document) -> str | None:
    """Say why a document does not bear a fact, or None where it does.

    Args:
        fact: As rules or a model state it; ``passage`` 0 means any passage with its literal.
        document: The whole document, for headings, names and its date.
    """
    found = list(places(fact, document))
    if not found:
        return "the passage does not have these characters"
    reasons = [refused_at(place, fact, document) for place in found]
    return None if None in reasons else reasons[0]


def accepted(facts: Sequence[DocumentFact], document: Document) -> list[DocumentFact]:
    """Return the facts that a document bears, in their order."""
    return [fact for fact in facts if refusal(fact, document) is None]


def refused_at(place: Place, fact: DocumentFact, document: Document) -> str | None:
    """Say why a fact does not stand at one place of its literal, or None where it does."""
    return next((reason for test in _TESTS if (reason := test(place, fact, document))), None)


def with_passage(fact: DocumentFact, document: Document) -> DocumentFact:
    """Return a fact with the number of the first passage that has its literal; unchanged where none has."""
    literal = fold(fact.literal)
    number = next((p.number for p in document.passages if literal in p.joined or literal in p.text), 0)
    return replace(fact, passage=number)
