"""Catalyst: what may move a price. Filings now; listings, announcements and votes take the same shape.

A trigger writes each new event (version 1) to ``catalyst.outbox`` in the transaction that inserts it, so no event can be
recorded without being announced, and none announced that was rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from omc_pipeline.ledgers.table import LedgerTable, Row


@dataclass(frozen=True, slots=True)
class CatalystEvent(Row):
    """One event.

    Attributes:
        event_id: The source's own id: an accession number, an article's or a proposal's id.
        event_type: ``filing``, ``listing``, ``delisting``, ``maintenance``, ``trading``, ``feature``, ``proposal``, ``other`` ...
        symbol: The coin it concerns, where one is known.
        ticker: The issuer's stock, where it has one.
        issuer: Who tells it: the filer, the venue, the space of a vote.
        title: What happened, in words.
        form: Form type of a filing.
        items: Items of a filing as written, the tokens of an announcement, the outcome of a vote.
        url: Page to read it on.
        filed_on: Day for which a filing counts.
        published_at: The source's time, UTC; how it was read says ``published_zone``.
        published_zone: Zone of a written time that doesn't tell its own: ``utc``, ``eastern``, ``offset`` (one was written), or
            ``undecided`` (read as UTC); None where the source's times are what they say.
        impact: From 1 (nobody trades on it) to 10, by the source's rules; None where there are none.
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


EVENT = LedgerTable("catalyst", "event", CatalystEvent, key=("event_id",), clock="published_at")
CatalystEvent.table = EVENT
TABLES = (EVENT,)
