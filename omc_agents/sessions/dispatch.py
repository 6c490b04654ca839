"""Which events are to be briefed, in which batch; and which batches are not done.

An event is claimed by its row in ``agents.dispatch``. What is missing there is found by anti-join and not by a cursor on ids or
times: two transactions that commit out of order leave no gap. A batch is open while one of its events has no finished session,
so whoever dies between claiming and launching, or while running, loses nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from omc_agents.sessions.store import SessionStore
from omc_infra.postgres.database import Database

BATCH_SIZE = 25
MOST_A_TICK = 200

_FRESH = """
SELECT o.source, o.event_id FROM catalyst.outbox o
WHERE o.recorded_at - o.published_at <= :fresh
  AND NOT EXISTS (SELECT FROM agents.dispatch d WHERE (d.source, d.event_id) = (o.source, o.event_id))
ORDER BY o.recorded_at, o.source, o.event_id LIMIT :most
"""
_OPEN = """
SELECT d.batch_id, min(d.dispatched_at) AS since FROM agents.dispatch d LEFT JOIN agents.session s USING (source, event_id)
WHERE s.status IS NULL OR s.status NOT IN ('published', 'refused', 'failed')
GROUP BY d.batch_id ORDER BY since, d.batch_id
"""
_EVENTS = """
SELECT d.source, d.event_id FROM agents.dispatch d JOIN catalyst.outbox o USING (source, event_id)
    LEFT JOIN agents.session s USING (source, event_id)
WHERE d.batch_id = :batch AND (s.status IS NULL OR s.status NOT IN ('published', 'refused', 'failed'))
ORDER BY coalesce(s.attempts, 0), o.recorded_at, d.source, d.event_id
"""


def dispatch_fresh(database: Database, fresh_event_hours: float) -> list[UUID]:
    """Put the fresh events that belong to no batch into new batches, in one transaction.

    Args:
        database: Where the outbox stands.
        fresh_event_hours: An event published longer than this before we learned of it is history and gets no brief.

    Returns:
        Ids of the new batches, each of 25 events at most; empty where nothing is new.
    """
    claimed = text("INSERT INTO agents.dispatch (source, event_id, batch_id) VALUES (:source, :event_id, :batch_id) ON CONFLICT DO NOTHING")
    with SessionStore(database).transaction() as connection:
        wanted = {"fresh": timedelta(hours=fresh_event_hours), "most": MOST_A_TICK}
        fresh = connection.execute(text(_FRESH), wanted).all()
        batches = [(uuid.uuid4(), fresh[start : start + BATCH_SIZE]) for start in range(0, len(fresh), BATCH_SIZE)]
        rows = [{"source": event.source, "event_id": event.event_id, "batch_id": batch} for batch, events in batches for event in events]
        if rows:
            connection.execute(claimed, rows)
    return [batch for batch, _ in batches]


def open_batches(database: Database) -> list[UUID]:
    """Answer the batches with an event whose session isn't finished, oldest first."""
    with SessionStore(database).transaction() as connection:
        return [row.batch_id for row in connection.execute(text(_OPEN))]


def unfinished_events(database: Database, batch_id: UUID) -> Sequence[tuple[str, str]]:
    """Answer (source, event id) of a batch's events to be done; the least tried first, so that one that kills its run holds up no other."""
    with SessionStore(database).transaction() as connection:
        return [(row.source, row.event_id) for row in connection.execute(text(_EVENTS), {"batch": batch_id})]


def give_up(database: Database, batch_id: UUID, detail: str) -> int:
    """Mark the unfinished sessions of a batch as failed; answers how many."""
    store, events = SessionStore(database), unfinished_events(database, batch_id)
    for source, event_id in events:
        store.finish(store.open(source, event_id, model="none").session_id, "failed", detail)
    return len(events)
