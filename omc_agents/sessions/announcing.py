"""Hands finished briefs of subscriptions, schedules and alerts to delivery, once each.

It looks for finished sessions that are not marked as handed over, and not at events, so a process that is killed between the end of a
session and its message loses nothing: the next look finds the session. The message is queued in the transaction that marks the session.
Briefs that were held back together are one message, which waits until all of their sessions are finished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from omc_infra.clock import utc_now
from omc_infra.delivery.message import Message
from omc_infra.delivery.outbox import queue
from omc_infra.postgres.database import Database
from omc_infra.terminal import one_line

TOPIC = "brief"
_MOST_A_LOOK = 200
_LONGEST_TITLE = 200
Row = Mapping[str, Any]
_READY = text("""
SELECT s.session_id, s.user_id, s.subscription, s.trigger, s.source, s.event_id, d.symbol,
    coalesce(d.digest_id::text, s.session_id) AS part,
    b.title, b.body, b.profile, p.channels
FROM agents.session s
LEFT JOIN agents.dispatch d USING (source, event_id, user_id, subscription)
LEFT JOIN agents.subscription p ON p.subscription_id = s.subscription
LEFT JOIN agents.brief b ON b.session_id = s.session_id
WHERE s.announced_at IS NULL AND (s.subscription <> '' OR s.subject IS NOT NULL) AND agents.is_finished(s.status)
    AND (d.digest_id IS NULL OR NOT EXISTS (
        SELECT FROM agents.dispatch other LEFT JOIN agents.session o USING (source, event_id, user_id, subscription)
        WHERE other.digest_id = d.digest_id AND (o.status IS NULL OR NOT agents.is_finished(o.status))))
ORDER BY s.event_recorded_at, s.source, s.event_id, s.session_id LIMIT :most FOR UPDATE OF s SKIP LOCKED
""")
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('agents.announced', 0))")
_MARKED = text("UPDATE agents.session SET announced_at = clock_timestamp() WHERE session_id = ANY(:ids)")


def announce_briefs(database: Database, own_channels: Sequence[str] = (), now: datetime | None = None) -> int:
    """Queue a message for each finished brief that is to be sent; a session that ended without a brief sends nothing.

    Args:
        database: Written as role writer.
        own_channels: Where briefs that belong to no subscription go: those of schedules and alerts.
        now: The present; None: as it is.

    Returns:
        How many messages were queued.
    """
    moment, queued = now or utc_now(), 0
    with database.engine("writer").begin() as connection:
        connection.execute(_LOCK)
        found = [dict(row) for row in connection.execute(_READY, {"most": _MOST_A_LOOK}).mappings()]
        parts: dict[str, list[Row]] = {}
        for row in found:
            parts.setdefault(row["part"], []).append(row)
        for part, rows in parts.items():
            briefs = [row for row in rows if row["body"] is not None]
            channels = own_channels if rows[0]["channels"] is None else rows[0]["channels"]
            if briefs and channels:
                queued += queue(connection, message_of(part, briefs, moment), channels, moment)
        if found:
            connection.execute(_MARKED, {"ids": [row["session_id"] for row in found]})
    return queued


def message_of(part: str, briefs: Sequence[Row], at: datetime) -> Message:
    """Write the message of one or several briefs of one user.

    Args:
        part: Names them; two messages of the same part are one.
        briefs: With title, body, profile, and the session that wrote each.
        at: When it is written.
    """
    first = briefs[0]
    title = first["title"] if len(briefs) == 1 else f"{len(briefs)} briefs about {first['symbol']}"
    return Message(
        key=f"brief {part}",
        topic=TOPIC,
        title=f"[OMC {first['profile']}] {one_line(title)}"[:_LONGEST_TITLE],
        body="\n\n".join(_text_of(row, has_title=len(briefs) > 1) for row in briefs),
        at=at,
        document={
            "profile": first["profile"],
            "subscription": first["subscription"] or None,
            "briefs": [{name: row[name] for name in ("session_id", "trigger", "source", "event_id", "title", "body")} for row in briefs],
        },
        user_id=first["user_id"],
    )


def _text_of(brief: Row, *, has_title: bool) -> str:
    """Return a brief as plain text; the only markup that a brief has is the bold name of its profile."""
    lines = [line.replace("**", "") for line in brief["body"].splitlines()]
    return "\n".join([*([brief["title"]] if has_title else []), *lines, f"Its rows: omc agent show {brief['session_id']}"])
