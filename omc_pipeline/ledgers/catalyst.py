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
        event_id: The source's own id of the event; of a filing its accession number.
        event_type: Kind of event; ``filing`` for filings.
        symbol: Coin that the event concerns; NULL where none is known.
        ticker: Stock ticker of the issuer; NULL where it has none.
        issuer: Name of who published the event.
        title: One line that says what happened.
        form: Form type of a filing, such as ``8-K``; NULL for other events.
        items: Items of an 8-K, separated by commas; NULL where the form has none.
        url: https page of the event.
        filed_on (date): Day of the filing as the source gives it; NULL for other events.
        published_at: When the source published it.
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


EVENT = LedgerTable("catalyst", "event", CatalystEvent, key=("event_id",), clock="published_at")
CatalystEvent.table = EVENT
TABLES = (EVENT,)
