"""Articles and proposals bring their own text: one document behind each event, too large ones without text, none without letters."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from omc_infra.payload import Payload
from omc_pipeline.ledgers.catalyst import CatalystDocument, CatalystEvent
from omc_pipeline.sources import catalyst_coinspot_announcements as announcements
from omc_pipeline.sources import catalyst_snapshot as snapshot

NOW = datetime(2026, 11, 28, tzinfo=UTC)
PROPOSAL = {
    "id": "0x" + "ab" * 32, "title": "A change", "choices": ["For", "Against"], "state": "active", "created": 1_790_000_000, "start": 1,
    "end": 2, "scores": [], "scores_state": "", "space": {"id": "ens.eth"}, "symbol": "ENS",
}  # fmt: skip


def article(number: int, body: object) -> dict[str, object]:
    return {"id": number, "title": "New Coin Listing: dogwifhat (WIF)", "created_at": "2026-11-20T02:00:00Z", "body": body}


def parsed(*articles: dict[str, object]) -> list[object]:
    body = json.dumps({"articles": list(articles)}).encode()
    payload = Payload(source="catalyst_coinspot_announcements", url="https://coinspot.zendesk.com/x", body=body, fetched_at=NOW)
    config = announcements.AnnouncementsConfig()
    return list(announcements.parse(payload, config).rows)


def test_an_article_brings_its_text_as_a_document() -> None:
    event, document = parsed(article(7, "<p>Trading opens on 30 November 2026.</p>"))

    assert isinstance(event, CatalystEvent)
    assert isinstance(document, CatalystDocument)
    assert (document.event_id, document.name, document.state) == ("7", "main", "fetched")
    assert document.content == "<p>Trading opens on 30 November 2026.</p>"
    assert document.published_at == event.published_at


@pytest.mark.parametrize("body", [None, "", "  ", "<>", 12, ["x"]])
def test_a_body_without_words_is_no_document(body: object) -> None:
    (event,) = parsed(article(7, body))

    assert isinstance(event, CatalystEvent)


def test_a_text_that_is_too_large_is_known_without_its_text() -> None:
    _, document = parsed(article(7, "x" * 600_000))

    assert isinstance(document, CatalystDocument)
    assert (document.state, document.content, document.size_bytes) == ("too_large", None, 600_000)


def test_a_text_that_no_database_holds_is_cleaned() -> None:
    _, document = parsed(article(7, "a\x00b \ud800 c"))

    assert isinstance(document, CatalystDocument)
    assert document.content is not None
    assert "\x00" not in document.content
    assert document.content.encode()


def test_a_refused_article_brings_no_document() -> None:
    rows = parsed({**article(7, "text"), "id": -1}, article(8, "text"))

    assert [row.event_id for row in rows if isinstance(row, (CatalystEvent, CatalystDocument))] == ["8", "8"]


def test_a_proposal_brings_its_text() -> None:
    body = json.dumps({"data": {"proposals": [{**PROPOSAL, "body": "# Summary\n\nText"}]}}).encode()
    payload = Payload(source="catalyst_snapshot", url="https://hub.snapshot.org/graphql", body=body, fetched_at=NOW)

    _, document = snapshot.parse(payload, snapshot.SnapshotConfig()).rows

    assert isinstance(document, CatalystDocument)
    assert (document.content, document.event_id) == ("# Summary\n\nText", PROPOSAL["id"])
