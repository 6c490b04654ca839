"""The text of an event that came in the same answer: an article, a proposal; the document that briefs are written from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from omc_pipeline.collection.items import Item
from omc_pipeline.collection.json_body import Json
from omc_pipeline.collection.source import Parsed
from omc_pipeline.ledgers.catalyst import CatalystDocument, CatalystEvent

LONGEST_TEXT_BYTES = 500_000


def with_texts(parsed: Parsed, items: Sequence[Json], event_id_of: Callable[[Item], str], field: str) -> Parsed:
    """Return what was parsed with a document behind each event whose item has a text; a text without a letter is none.

    Args:
        parsed: Events, one an item that could be read.
        items: Of the answer.
        event_id_of: Id of an item's event.
        field: Of an item that holds its text: HTML, Markdown or plain.
    """
    texts = {event_id_of(item): item.get(field) for item in items if isinstance(item, dict)}
    documents = [
        _document(event, content)
        for event in parsed.rows
        if isinstance(event, CatalystEvent) and isinstance(content := texts.get(event.event_id), str) and any(map(str.isalpha, content))
    ]
    return replace(parsed, rows=[*parsed.rows, *documents])


def _document(event: CatalystEvent, content: str) -> CatalystDocument:
    content = content.replace("\x00", "")
    size = len(content.encode(errors="replace"))
    is_kept = size <= LONGEST_TEXT_BYTES
    return CatalystDocument(
        event_id=event.event_id,
        name="main",
        kind="main",
        url=event.url,
        state="fetched" if is_kept else "too_large",
        content=content.encode(errors="replace").decode() if is_kept else None,
        size_bytes=size,
        attempt=1,
        published_at=event.published_at,
    )
