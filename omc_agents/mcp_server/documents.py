"""The documents of an event: the facts that rules find and the text bears, or the passages themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from omc_agents.mcp_server.arguments import DocumentArguments
from omc_agents.mcp_server.pages import Part
from omc_agents.mcp_server.reading import Reading
from omc_agents.mcp_server.rows import Seen, seen
from omc_agents.tools.toolbox import EventDocument
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.reader import UnreadableDocumentError, read_document
from omc_pipeline.documents.rules import extract
from omc_pipeline.documents.verify import accepted
from omc_pipeline.ledgers.catalyst import EVENT

LARGEST_CHARACTERS = 3_000_000
"""Larger documents take too long to read within a call."""


def document_parts(reading: Reading, arguments: DocumentArguments) -> list[Part]:
    """Return the parts of a result: the documents, then what was asked of them."""
    held = reading.box.get_documents(arguments.source, arguments.event_id)
    documents = Part(lambda _most: [seen(each.evidence) for each in held], lambda: _why_no_document(reading, arguments))
    if not held:
        return [documents]
    return [documents, Part(lambda most: _content(held, arguments)[:most], lambda: _why_no_content(held, arguments))]


def _content(held: Sequence[EventDocument], arguments: DocumentArguments) -> list[Seen]:
    read = _facts if arguments.content == "facts" else _passages
    return [row for each in held if (document := _read(each)) is not None for row in read(each, document)]


def _read(held: EventDocument) -> Document | None:
    if held.content is None or len(held.content) > LARGEST_CHARACTERS:
        return None
    try:
        return read_document(held.content.encode())
    except UnreadableDocumentError:
        return None


def _facts(held: EventDocument, document: Document) -> Iterator[Seen]:
    path, _, version = held.evidence.ref.rpartition("@")
    at = seen(held.evidence).at
    for n, fact in enumerate(accepted(extract(document), document)):
        yield Seen(f"{path}/p{fact.passage}/f{n}@{version}", EVENT.ledger, at, fact.as_document())


def _passages(held: EventDocument, document: Document) -> Iterator[Seen]:
    path, _, version = held.evidence.ref.rpartition("@")
    at = seen(held.evidence).at
    for each in document.passages:
        row = {"passage": each.number, "heading": each.heading or None, "text": each.text}
        yield Seen(f"{path}/p{each.number}@{version}", EVENT.ledger, at, row)


def _why_no_document(reading: Reading, arguments: DocumentArguments) -> str:
    known = f"as of {reading.box.as_of.isoformat()}"
    if reading.ledgers.event(arguments.source, arguments.event_id) is None:
        return f"of documents, because catalyst.event holds no such event of that source {known}; get_catalyst_events lists them"
    return f"of documents, because none of this event was fetched {known}; only fresh filings of catalyst_sec_edgar have any"


def _why_no_content(held: Sequence[EventDocument], arguments: DocumentArguments) -> str:
    states = ", ".join(sorted({_state(each) for each in held}))
    hint = "; its passages may still tell something" if arguments.content == "facts" and "read" in states else ""
    return f"of {arguments.content}, because the documents have none (state: {states}){hint}"


def _state(held: EventDocument) -> str:
    if held.content is None:
        return str(held.evidence.row["state"])
    if len(held.content) > LARGEST_CHARACTERS:
        return "too large to read here"
    return "unreadable" if _read(held) is None else "read"
