"""Catalyst: events that may move a price: filings, listings, announcements and votes, all in the same table.

A trigger writes each new event (version 1) to ``catalyst.outbox`` in the transaction that inserts it. So every
stored event is announced, and no event that was rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from omc_pipeline.ledgers.table import LedgerTable, Row


@dataclass(frozen=True, slots=True)
class CatalystEvent(Row):
    """One event that may move a price.

    Attributes:
        event_id: The source's id of the event: the accession number of a filing, or the id of an article or proposal.
        event_type: Kind of event: ``filing``, ``listing``, ``delisting``, ``maintenance``, ``trading``, ``feature``,
            ``proposal`` or ``other``.
        symbol: Coin that the event is about; NULL if unknown.
        ticker: Stock ticker of the issuer; NULL where it has none.
        issuer: Publisher of the event: the filer, the venue, the space of a vote.
        title: One line that says what happened.
        form: Form type of a filing, such as ``8-K``; NULL for other events.
        items: Items of an 8-K, tokens of an announcement, separated by commas; state and outcome of a vote; NULL for none.
        url: https page of the event.
        filed_on (date): Day of the filing as the source gives it; NULL for other events.
        published_at: When the source published it.
        published_zone: Time zone assumed for a time without a zone: ``utc``, ``eastern``, ``offset`` (an offset was written), or
            ``undecided`` (read as UTC); NULL if the source's times have a zone.
        impact: Expected effect on prices, from 1 (none) to 10, by the rules of the source; NULL without rules.
    """

    event_id: str
    event_type: str
    symbol: str | None
    ticker: str | None
    issuer: str
    title: str
    form: str | None
    items: str | None
    url: str
    filed_on: date | None
    published_at: datetime
    published_zone: str | None = None
    impact: int | None = None


@dataclass(frozen=True, slots=True)
class CatalystDocument(Row):
    """One document of an event: the full text of a filing, an exhibit, an article or a proposal.

    Attributes:
        event_id: The source's own id of the event.
        name: Name of the document within the event: ``main``, or the file name of an exhibit.
        kind: ``main`` for the document of the filing, the article or the proposal itself, ``exhibit`` for a press release filed with it.
        url: https address of the document.
        state: ``fetched``; or why there is no text: ``missing`` (the upstream doesn't have it), ``too_large``, ``not_text``.
        content: The document as text, as the upstream served it; NULL if there is none. It is kept as long as the row.
        size_bytes (bytes): Length of the document as it was served.
        attempt: Number of requests so far; a missing document is requested again.
        published_at: When the source published the event.
    """

    event_id: str
    name: str
    kind: str
    url: str
    state: str
    content: str | None
    size_bytes: int
    attempt: int
    published_at: datetime


EVENT = LedgerTable("catalyst", "event", CatalystEvent, key=("event_id",), clock="published_at")
CatalystEvent.table = EVENT
DOCUMENT = LedgerTable("catalyst", "document", CatalystDocument, key=("event_id", "name"), clock="published_at")
CatalystDocument.table = DOCUMENT
TABLES = (EVENT, DOCUMENT)
