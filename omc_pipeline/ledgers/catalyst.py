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
    """One event; ``event_id`` is the source's own (an accession number), ``symbol`` the coin it concerns, where one is known."""

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
