"""Which events are to be briefed, for whom, in which batch; and which batches are not done.

An event is claimed by its row of the platform's own user in ``agents.dispatch``; its subscribers get theirs in the same transaction.
What is missing there is found by anti-join and not by a cursor on ids or times: two transactions that commit out of order leave no gap.
A batch is open while one of its events has no finished session, so whoever dies between claiming and launching, or while running, loses
nothing. A session whose model asked for a wait opens its batch again when the wait is over.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from omc_agents.sessions.fan_out import meet, release
from omc_agents.sessions.states import SYSTEM_USER
from omc_agents.sessions.tokens import Assignment, issue_tokens
from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database

BATCH_SIZE = 25
MOST_A_TICK = 200

_FRESH = """
SELECT o.source, o.event_id FROM catalyst.outbox o
WHERE o.recorded_at - o.published_at <= :fresh
  AND NOT EXISTS (SELECT FROM agents.dispatch d
    WHERE (d.source, d.event_id, d.user_id, d.subscription) = (o.source, o.event_id, 'system', ''))
  AND (o.recorded_at <= clock_timestamp() - :document_wait
    OR NOT EXISTS (SELECT FROM catalyst.event e WHERE (e.source, e.event_id) = (o.source, o.event_id) AND e.form = ANY(:document_forms))
    OR EXISTS (SELECT FROM catalyst.document c WHERE (c.source, c.event_id, c.name) = (o.source, o.event_id, 'main')))
ORDER BY o.recorded_at, o.source, o.event_id LIMIT :most
"""
_OPEN = """
SELECT batch_id, min(since) AS since FROM (
    SELECT d.batch_id, d.dispatched_at AS since
    FROM agents.dispatch d LEFT JOIN agents.session s USING (source, event_id, user_id, subscription)
    WHERE (s.status IS NULL OR NOT agents.is_finished(s.status)) AND s.status IS DISTINCT FROM 'waiting'
        AND coalesce(s.retry_at <= clock_timestamp(), true)
    UNION ALL
    SELECT s.batch_id, s.created_at FROM agents.session s
    WHERE s.batch_id IS NOT NULL AND NOT agents.is_finished(s.status) AND s.status <> 'waiting'
        AND coalesce(s.retry_at <= clock_timestamp(), true)
) AS unfinished GROUP BY batch_id ORDER BY since, batch_id
"""
_EVENTS = """
SELECT d.source, d.event_id FROM agents.dispatch d JOIN catalyst.outbox o USING (source, event_id)
    LEFT JOIN agents.session s USING (source, event_id, user_id, subscription)
WHERE d.batch_id = :batch AND (s.status IS NULL OR NOT agents.is_finished(s.status))
ORDER BY coalesce(s.attempts, 0), o.recorded_at, d.source, d.event_id
"""

_WITHOUT_SESSION = """
SELECT d.source, d.event_id, d.user_id, d.subscription, coalesce(nullif(p.model, ''), :model) AS model
FROM agents.dispatch d LEFT JOIN agents.subscription p ON p.subscription_id = d.subscription
WHERE d.batch_id = :batch AND NOT EXISTS (SELECT FROM agents.session s
    WHERE (s.source, s.event_id, s.user_id, s.subscription) = (d.source, d.event_id, d.user_id, d.subscription) AND s.trigger = 'event')
"""
_OPENED = """
INSERT INTO agents.session (session_id, user_id, source, event_id, subscription, status, model, event_recorded_at, as_of)
SELECT :session_id, :user_id, source, event_id, :subscription, 'queued', :model, recorded_at, greatest(recorded_at, clock_timestamp())
FROM catalyst.outbox WHERE source = :source AND event_id = :event_id ON CONFLICT DO NOTHING
"""
_SESSION = """
SELECT session_id FROM agents.session
WHERE trigger = 'event' AND (source, event_id, user_id, subscription) = (:source, :event_id, :user_id, :subscription)
"""
_GIVEN_UP = """
UPDATE agents.session s SET status = 'failed', detail = :detail, waiting_for = NULL, prompt = NULL, finished_at = clock_timestamp()
WHERE NOT agents.is_finished(s.status) AND (s.batch_id = :batch OR EXISTS (SELECT FROM agents.dispatch d WHERE d.batch_id = :batch
    AND (d.source, d.event_id, d.user_id, d.subscription) = (s.source, s.event_id, s.user_id, s.subscription)))
"""
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('agents.dispatch', 0))")
_CLAIMED = text("""
INSERT INTO agents.dispatch (source, event_id, user_id, subscription, symbol, digest_id, batch_id)
VALUES (:source, :event_id, :user_id, :subscription, :symbol, :digest_id, :batch_id) ON CONFLICT DO NOTHING
""")


def dispatch_fresh(
    database: Database,
    fresh_event_hours: float,
    document_wait_s: float = 0.0,
    document_forms: Sequence[str] = (),
    cooldown_minutes: float = 0.0,
) -> list[UUID]:
    """Put the fresh events that belong to no batch into new batches, for all users that want a brief, in one transaction.

    Args:
        database: Where the outbox stands; written as role writer.
        fresh_event_hours: An event published longer than this before we learned of it is history and gets no brief.
        document_wait_s: So long a filing of one of the forms is left for later, unless its document is known.
        document_forms: Forms of the filings of which documents are fetched.
        cooldown_minutes: After an event of a coin, so long further ones of it are held back from the same subscription.

    Returns:
        Ids of the new batches, each of 25 events and users at most; empty where nothing is new.
    """
    wanted = {
        "fresh": timedelta(hours=fresh_event_hours),
        "most": MOST_A_TICK,
        "document_wait": timedelta(seconds=document_wait_s),
        "document_forms": list(document_forms),
    }
    cooldown = timedelta(minutes=cooldown_minutes)
    with database.engine("writer").begin() as connection:
        connection.execute(_LOCK)
        fresh = [(event.source, event.event_id) for event in connection.execute(text(_FRESH), wanted)]
        own = {"user_id": SYSTEM_USER, "subscription": "", "symbol": None, "digest_id": None}
        rows = [{"source": source, "event_id": event_id, **own} for source, event_id in fresh]
        rows += [*release(connection, cooldown), *meet(connection, fresh, cooldown)]
        batches = [(uuid.uuid4(), rows[start : start + BATCH_SIZE]) for start in range(0, len(rows), BATCH_SIZE)]
        if rows:
            connection.execute(_CLAIMED, [{**row, "batch_id": batch} for batch, of_batch in batches for row in of_batch])
    return [batch for batch, _ in batches]


def open_sessions(database: Database, batch_id: UUID, model: str) -> None:
    """Open the sessions of a batch's events that have none; their ``as_of`` is this moment, or when we knew if later.

    Args:
        database: Written as role writer.
        batch_id: Which batch.
        model: Name of the model that will be asked where a subscription names none.
    """
    with database.engine("writer").begin() as connection:
        missing = connection.execute(text(_WITHOUT_SESSION), {"batch": batch_id, "model": model}).mappings().all()
        for event in missing:
            connection.execute(text(_OPENED), {"session_id": str(uuid.uuid4()), **event})


def assign_batch(database: Database, batch_id: UUID, model: str, lifetime: timedelta) -> list[Assignment]:
    """Open the sessions of a batch that are missing, and issue a token for each that is unfinished.

    Args:
        database: Written as role writer.
        batch_id: Which batch.
        model: Name of the model that will be asked.
        lifetime: After which a token is worth nothing.
    """
    open_sessions(database, batch_id, model)
    return issue_tokens(database, batch_id, lifetime)


def open_session(database: Database, source: str, event_id: str, model: str, user_id: str = SYSTEM_USER) -> str:
    """Open the session of one event where it has none, and return the session's id.

    Raises:
        BadInputError: No such event was ever announced.
    """
    subject = {"source": source, "event_id": event_id, "user_id": user_id, "subscription": ""}
    with database.engine("writer").begin() as connection:
        connection.execute(text(_OPENED), {"session_id": str(uuid.uuid4()), "model": model, **subject})
        found = connection.execute(text(_SESSION), subject).scalar_one_or_none()
    if found is None:
        raise BadInputError(f"no event {event_id!r} of {source!r} was announced")
    return str(found)


def open_batches(database: Database) -> list[UUID]:
    """Return the batches with an event whose session isn't finished and waits for no model, oldest first."""
    with database.engine("writer").begin() as connection:
        return [row.batch_id for row in connection.execute(text(_OPEN))]


def unfinished_events(database: Database, batch_id: UUID) -> Sequence[tuple[str, str]]:
    """Return (source, event id) of a batch's events to be done, the least tried first."""
    with database.engine("writer").begin() as connection:
        return [(row.source, row.event_id) for row in connection.execute(text(_EVENTS), {"batch": batch_id})]


def give_up(database: Database, batch_id: UUID, detail: str) -> int:
    """Mark the unfinished sessions of a batch as failed; returns how many."""
    open_sessions(database, batch_id, model="none")
    with database.engine("writer").begin() as connection:
        return connection.execute(text(_GIVEN_UP), {"batch": batch_id, "detail": detail}).rowcount
