"""The outbox in PostgreSQL: messages, and a delivery of each to every channel it goes to.

A delivery is ``pending`` until it is ``sent``, ``failed`` for good, or ``dropped`` because the message it refers to never arrived there.
Whoever sends one claims it first, for longer than sending may take. A process that is killed in between leaves a claim that ends by
itself, so the delivery is made by the next process; a kill in the instant between the receiver's answer and its record sends it twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from omc_infra.delivery.message import Message

CLAIM = timedelta(seconds=120)
"""Longer than any channel may take."""
_LONGEST_FAILURE = 300

_MESSAGE = text("""
INSERT INTO omc.message (key, topic, severity, title, body, document, refers_to, user_id, created_at)
VALUES (:key, :topic, :severity, :title, :body, CAST(:document AS jsonb), :refers_to, :user_id, :at)
ON CONFLICT (key) DO NOTHING RETURNING message_id
""")
_DELIVERY = text("""
INSERT INTO omc.delivery (message_id, channel, next_at) VALUES (:message_id, :channel, :now) ON CONFLICT DO NOTHING
""")
_DROP = text("""
UPDATE omc.delivery AS late SET state = 'dropped', settled_at = :now
FROM omc.message AS own, omc.message AS first, omc.delivery AS before
WHERE late.state = 'pending' AND own.message_id = late.message_id AND first.key = own.refers_to
    AND before.message_id = first.message_id AND before.channel = late.channel AND before.state IN ('failed', 'dropped')
""")
_CLAIM = text("""
UPDATE omc.delivery AS mine SET attempts = attempts + 1, next_at = :until
FROM omc.message AS m
WHERE m.message_id = mine.message_id AND (mine.message_id, mine.channel) = (
    SELECT due.message_id, due.channel FROM omc.delivery AS due JOIN omc.message AS own USING (message_id)
    WHERE due.state = 'pending' AND due.next_at <= :now AND NOT EXISTS (
        SELECT FROM omc.message AS first JOIN omc.delivery AS before USING (message_id)
        WHERE first.key = own.refers_to AND before.channel = due.channel AND before.state = 'pending')
    ORDER BY due.next_at, due.message_id LIMIT 1 FOR UPDATE OF due SKIP LOCKED)
RETURNING mine.message_id, mine.channel, mine.attempts, m.key, m.topic, m.severity, m.title, m.body, m.document, m.refers_to, m.created_at
""")
_SENT = text("""
UPDATE omc.delivery SET state = 'sent', settled_at = :now, last_failure = ''
WHERE message_id = :message_id AND channel = :channel AND state = 'pending'
""")
_OTHERS = text("""
UPDATE omc.delivery SET next_at = :now WHERE channel = :channel AND state = 'pending' AND next_at > :now AND last_failure <> ''
""")
_FAILED = text("""
UPDATE omc.delivery SET state = :state, next_at = :next_at, last_failure = :failure,
    settled_at = CASE WHEN :state = 'failed' THEN CAST(:now AS timestamptz) END
WHERE message_id = :message_id AND channel = :channel AND state = 'pending'
""")
_UNDELIVERED = text("""
SELECT m.key, m.title, d.channel, d.state, d.attempts, d.next_at, d.last_failure, m.created_at
FROM omc.delivery AS d JOIN omc.message AS m USING (message_id)
WHERE d.state = 'pending' OR (d.state = 'failed' AND d.settled_at > :since)
ORDER BY m.message_id, d.channel LIMIT 100
""")
_BROKEN = text("""
SELECT newest.channel, newest.last_failure, newest.settled_at, m.topic FROM (
    SELECT DISTINCT ON (channel) channel, message_id, state, last_failure, settled_at FROM omc.delivery
    WHERE state IN ('sent', 'failed') ORDER BY channel, settled_at DESC) AS newest JOIN omc.message AS m USING (message_id)
WHERE newest.state = 'failed' ORDER BY newest.channel
""")
_CHANNELS = text("SELECT d.channel FROM omc.delivery AS d JOIN omc.message AS m USING (message_id) WHERE m.key = :key ORDER BY d.channel")


@dataclass(frozen=True)
class Delivery:
    """A claimed delivery: a message, and the channel it goes to for the ``attempts``-th time."""

    message_id: int
    channel: str
    attempts: int
    message: Message


@dataclass(frozen=True)
class BrokenChannel:
    """A channel whose newest settled delivery failed for good, with the last failure and the topic of its message."""

    channel: str
    failure: str
    since: datetime
    topic: str


def queue(connection: Connection, message: Message, channels: Sequence[str], now: datetime) -> bool:
    """Put a message and its deliveries into the outbox, in the caller's transaction.

    Returns:
        False where a message with this key was queued before; then nothing is added.
    """
    document = json.dumps(dict(message.document), default=str)
    fields = {name: getattr(message, name) for name in ("key", "topic", "severity", "title", "body", "refers_to", "user_id", "at")}
    message_id = connection.execute(_MESSAGE, {**fields, "document": document}).scalar()
    if message_id is None:
        return False
    for channel in dict.fromkeys(channels):
        connection.execute(_DELIVERY, {"message_id": message_id, "channel": channel, "now": now})
    return True


def claim(connection: Connection, now: datetime) -> Delivery | None:
    """Claim the delivery that has been due longest, or return None; the caller commits before it sends."""
    connection.execute(_DROP, {"now": now})
    row = connection.execute(_CLAIM, {"now": now, "until": now + CLAIM}).mappings().one_or_none()
    if row is None:
        return None
    named: dict[str, Any] = {name: row[name] for name in ("key", "topic", "severity", "title", "body", "document", "refers_to")}
    return Delivery(row["message_id"], row["channel"], row["attempts"], Message(**named, at=row["created_at"]))


def record_sent(connection: Connection, delivery: Delivery, now: datetime) -> None:
    """Record a success; what else waits for the channel after a failure is due at once, for the channel works again."""
    bound = {"message_id": delivery.message_id, "channel": delivery.channel, "now": now}
    connection.execute(_SENT, bound)
    connection.execute(_OTHERS, {"channel": delivery.channel, "now": now})


def record_failure(connection: Connection, delivery: Delivery, failure: str, now: datetime, next_at: datetime | None) -> None:
    """Record a failure: the delivery is made again at ``next_at``, or never again where that is None."""
    state = "failed" if next_at is None else "pending"
    bound = {"message_id": delivery.message_id, "channel": delivery.channel, "failure": failure[:_LONGEST_FAILURE], "now": now}
    connection.execute(_FAILED, {**bound, "state": state, "next_at": next_at or now})


def undelivered(connection: Connection, since: datetime) -> list[dict[str, Any]]:
    """Return the deliveries that are pending, and those that failed for good after a time, oldest first."""
    return [dict(row) for row in connection.execute(_UNDELIVERED, {"since": since}).mappings()]


def broken_channels(connection: Connection) -> list[BrokenChannel]:
    """Return the channels whose newest settled delivery failed for good."""
    return [BrokenChannel(*row) for row in connection.execute(_BROKEN)]


def channels_of(connection: Connection, key: str) -> list[str]:
    """Return the channels that a message was queued for; empty where there is no such message."""
    return list(connection.execute(_CHANNELS, {"key": key}).scalars())
