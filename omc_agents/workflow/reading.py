"""The step that reads the documents of an event: a model states facts, code keeps those that their passage bears.

What is kept becomes evidence of the session, one row a fact, with the passage and the characters that carry it. The text itself is not
copied: its digest is, and the ledger keeps the document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from omc_agents.claims.evidence import Evidence
from omc_agents.models.protocol import Request, Response
from omc_agents.sessions.spend import SpendCapError
from omc_agents.tools.toolbox import EventDocument
from omc_agents.workflow.model_answers import read_answer
from omc_agents.workflow.model_requests import Reading, reading_request
from omc_infra.errors import PayloadChangedError
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.reader import UnreadableDocumentError, read_document
from omc_pipeline.documents.verify import refusal, with_passage

Ask = Callable[[Request, str], Response]
"""Puts a question of a step to the session's models."""
UNREADABLE, NO_ANSWER, OVER_CAP = "unreadable", "no_answer", "over_cap"


@dataclass(frozen=True)
class ReadDocument:
    """What came of one document.

    Attributes:
        state: ``read``, ``unreadable``, ``no_answer`` (the model's answer was of no use), ``over_cap`` (reading it could have cost more
            than allowed), or why the ledger has no text.
        facts: Those that the document bears, as evidence.
        refused: How many stated facts it does not bear.
        left_out: How many passages were not shown to the model.
        answer: The model's; None where it was not asked.
    """

    state: str
    facts: tuple[Evidence, ...] = ()
    refused: int = 0
    left_out: int = 0
    answer: Response | None = None


def read_one(held: EventDocument, event: Evidence, marker: str, ask: Ask, most_characters: int) -> ReadDocument:
    """Have a model read a document, and keep the facts that the document bears.

    Args:
        held: The document.
        event: The event's own row; its ticker goes along with each fact.
        marker: Secret of the session, by which the model tells the end of the data.
        ask: Asks the session's models.
        most_characters: Of the document, shown to the model.
    """
    if held.content is None:
        return ReadDocument(str(held.evidence.row["state"]))
    try:
        document = read_document(held.content.encode())
    except UnreadableDocumentError:
        return ReadDocument(UNREADABLE)
    request, left_out = reading_request(document, marker, most_characters)
    try:
        answer = ask(request, "read")
    except SpendCapError:
        return ReadDocument(OVER_CAP)
    try:
        stated = [fact.fact() for fact in read_answer(answer.text, Reading).facts]
    except PayloadChangedError:
        return ReadDocument(NO_ANSWER, left_out=left_out, answer=answer)
    kept = list(accepted_facts(stated, document))
    facts = tuple(_evidence(n, fact, document, held, event) for n, fact in enumerate(kept))
    return ReadDocument("read", facts, len(stated) - len(kept), left_out, answer)


def accepted_facts(stated: list[DocumentFact], document: Document) -> Iterator[DocumentFact]:
    """Yield the stated facts that a document bears, each once, with the number of their passage."""
    seen = set[DocumentFact]()
    for fact in stated:
        if refusal(fact, document) is None:
            placed = fact if fact.passage else with_passage(fact, document)
            if replace(placed, literal="") not in seen:
                seen.add(replace(placed, literal=""))
                yield placed


def _evidence(n: int, fact: DocumentFact, document: Document, held: EventDocument, event: Evidence) -> Evidence:
    path, _, version = held.evidence.ref.rpartition("@")
    passage = next(each for each in document.passages if each.number == fact.passage)
    row = {
        **{name: held.evidence.row[name] for name in ("source", "event_id", "name", "kind", "url", "published_at", "content_sha256")},
        "ticker": event.row.get("ticker"),
        "event_type": event.row.get("event_type"),
        "fact": fact.kind,
        **{name: getattr(fact, name) for name in ("subject", "value", "unit", "period", "modality", "negated", "passage", "literal")},
        "passage_text": passage.text,
        "moment": fact.value if fact.unit in {"date", "datetime"} else None,
    }
    return Evidence(
        f"{path}/p{fact.passage}/f{n}@{version}", "read", {name: value for name, value in row.items() if value not in (None, "")}
    )
