"""Passages of a document as they go to a model, and facts as a model states them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Cell, Document, Passage


def passages_document(document: Document, most_characters: int) -> tuple[list[dict[str, Any]], int]:
    """Return the passages from the top on, as JSON, and how many of them are left out because of the limit."""
    shown: list[dict[str, Any]] = []
    used = 0
    for passage in document.passages:
        used += len(passage.text) + len(passage.heading)
        if used > most_characters:
            break
        each: dict[str, Any] = {"number": passage.number, "text": passage.text}
        if passage.heading:
            each["heading"] = passage.heading
        if passage.cells:
            each["cells"] = [{"text": cell.text, "heads": list(cell.heads)} for cell in passage.cells]
        shown.append(each)
    return shown, len(document.passages) - len(shown)


def document_of(passages: Sequence[Mapping[str, Any]]) -> Document:
    """Return the document whose passages were sent."""
    return Document(
        tuple(
            Passage(
                each["number"],
                each["text"],
                each.get("heading", ""),
                tuple(Cell(cell["text"], tuple(cell["heads"])) for cell in each.get("cells", ())),
            )
            for each in passages
        )
    )


def stated_fact(fact: DocumentFact) -> dict[str, Any]:
    """Return a fact as the answer to a reading question states it."""
    stated = {name: getattr(fact, name) for name in ("kind", "subject", "value", "unit", "period", "passage", "literal", "modality")}
    return {**stated, "negated": fact.negated}
