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
    """One event that may move a price.

    Attributes:
        event_id: The source's own id of the event: of a filing its accession number, else of an article or a proposal.
        event_type: Kind of event: ``filing``, ``listing``, ``delisting``, ``maintenance``, ``trading``, ``feature``,
            ``proposal`` or ``other``.
        symbol: Coin that the event concerns; NULL where none is known.
        ticker: Stock ticker of the issuer; NULL where it has none.
        issuer: Name of who published the event: the filer, the venue, the space of a vote.
        title: One line that says what happened.
        form: Form type of a filing, such as ``8-K``; NULL for other events.
        items: Items of an 8-K, tokens of an announcement, separated by commas; state and outcome of a vote; NULL for none.
        url: https page of the event.
        filed_on (date): Day of the filing as the source gives it; NULL for other events.
        published_at: When the source published it.
        published_zone: Zone of a written time that doesn't tell its own: ``utc``, ``eastern``, ``offset`` (one was written), or
            ``undecided`` (read as UTC); NULL where the source's times are what they say.
        impact: From 1 (nobody trades on it) to 10, by the rules of the source; NULL where there are none.
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
