"""Gives an event to the users that subscribed to it, once each, and holds back what comes within the cool-down of its coin.

An event is given out in the transaction that claims it for the platform's own user, so it meets each subscription that stood then
exactly once. Within the cool-down after a brief about the same coin it is recorded in ``agents.held_event`` instead. When the cool-down
is over, all that was held of the coin is dispatched together, and its briefs are sent as one message.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

BRIEFS_A_MESSAGE = 10
"""Briefs that one message holds at most."""
Row = Mapping[str, Any]
_MEETING = text("""
SELECT o.source, o.event_id, s.user_id, s.subscription_id AS subscription, e.symbol
FROM unnest(CAST(:sources AS text[]), CAST(:event_ids AS text[])) WITH ORDINALITY AS o (source, event_id, place)
JOIN LATERAL (SELECT symbol, event_type, impact FROM catalyst.event AS v WHERE (v.source, v.event_id) = (o.source, o.event_id)
    ORDER BY version DESC LIMIT 1) AS e ON true
JOIN agents.subscription AS s ON s.removed_at IS NULL
    AND (s.symbols = '{}' OR e.symbol = ANY(s.symbols)) AND (s.event_types = '{}' OR e.event_type = ANY(s.event_types))
    AND (s.least_impact IS NULL OR e.impact >= s.least_impact)
WHERE NOT EXISTS (SELECT FROM agents.dispatch AS d
    WHERE (d.source, d.event_id, d.user_id, d.subscription) = (o.source, o.event_id, s.user_id, s.subscription_id))
ORDER BY o.place, s.created_at, s.subscription_id
""")
_COOLING = text("""
SELECT DISTINCT subscription, symbol FROM agents.dispatch
WHERE subscription <> '' AND symbol IS NOT NULL AND dispatched_at > clock_timestamp() - :cooldown
""")
_HELD = text("""
INSERT INTO agents.held_event (source, event_id, user_id, subscription, symbol)
VALUES (:source, :event_id, :user_id, :subscription, :symbol) ON CONFLICT DO NOTHING
""")
_DUE = text("""
SELECT h.source, h.event_id, h.user_id, h.subscription, h.symbol FROM agents.held_event AS h
JOIN agents.subscription AS s ON s.subscription_id = h.subscription AND s.removed_at IS NULL
WHERE h.released_at IS NULL AND NOT EXISTS (SELECT FROM agents.dispatch AS d
    WHERE (d.subscription, d.symbol) = (h.subscription, h.symbol) AND d.dispatched_at > clock_timestamp() - :cooldown)
ORDER BY h.subscription, h.symbol, h.held_at, h.source, h.event_id
""")
_RELEASED = text("""
UPDATE agents.held_event SET released_at = clock_timestamp()
WHERE (source, event_id, user_id, subscription) = (:source, :event_id, :user_id, :subscription)
""")


def meet(connection: Connection, events: Sequence[tuple[str, str]], cooldown: timedelta) -> list[dict[str, Any]]:
    """Return the rows of dispatch that events have for their subscribers, and record the events that a cool-down holds back.

    Args:
        connection: Of role writer, in the transaction that claims the events.
        events: Source and id of each, in the order in which they became known.
        cooldown: After a dispatch, so long no other event of the same coin goes to the same subscription. An event without a coin is
            never held back.
    """
    if not events:
        return []
    asked = {"sources": [source for source, _ in events], "event_ids": [event_id for _, event_id in events]}
    met = connection.execute(_MEETING, asked).mappings().all()
    cooling = (
        {(row.subscription, row.symbol) for row in connection.execute(_COOLING, {"cooldown": cooldown})} if met and cooldown else set()
    )
    given, held = list[dict[str, Any]](), list[dict[str, Any]]()
    for row in met:
        key = (row["subscription"], row["symbol"])
        if cooldown and row["symbol"] and key in cooling:
            held.append(dict(row))
        else:
            cooling.add(key)
            given.append({**row, "digest_id": None})
    if held:
        connection.execute(_HELD, held)
    return given


def release(connection: Connection, cooldown: timedelta) -> list[dict[str, Any]]:
    """Return the rows of dispatch of the events whose cool-down is over; those of one coin and subscription share their digests.

    Args:
        connection: Of role writer, in the transaction that dispatches them.
        cooldown: As in ``meet``.
    """
    due = connection.execute(_DUE, {"cooldown": cooldown}).mappings().all()
    rows = [dict(row) for row in due]
    if rows:
        connection.execute(_RELEASED, rows)
    return [{**row, "digest_id": digest_id} for digest_id, of_digest in _digests(rows) for row in of_digest]


def _digests(rows: Sequence[Row]) -> Iterator[tuple[UUID, Sequence[Row]]]:
    for _, found in groupby(rows, lambda row: (row["subscription"], row["symbol"])):
        of_coin = list(found)
        for start in range(0, len(of_coin), BRIEFS_A_MESSAGE):
            yield uuid.uuid4(), of_coin[start : start + BRIEFS_A_MESSAGE]
