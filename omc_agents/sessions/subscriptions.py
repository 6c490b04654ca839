"""Which events a user wants briefs about, with which model, and where the briefs are sent. Rows; written as role writer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from omc_agents.sessions.states import SYSTEM_USER
from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database

MOST_OF_A_USER = 100
"""Subscriptions of one user; each may open a session for every event."""
_USER = re.compile(r"[a-z0-9_-]{1,64}", re.ASCII)
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('agents.subscription', 0))")
_ADD = text("""
INSERT INTO agents.subscription (subscription_id, user_id, symbols, event_types, least_impact, model, channels)
VALUES (:subscription_id, :user_id, :symbols, :event_types, :least_impact, :model, :channels) ON CONFLICT DO NOTHING
RETURNING subscription_id
""")
_COUNT = text("SELECT count(*) FROM agents.subscription WHERE user_id = :user_id AND removed_at IS NULL")
_IDS = text("SELECT subscription_id FROM agents.subscription WHERE user_id = :user_id")
_LIST = text("""
SELECT s.subscription_id, s.user_id, s.symbols, s.event_types, s.least_impact, s.model, s.channels, s.created_at,
    (SELECT count(*) FROM agents.held_event h WHERE h.subscription = s.subscription_id AND h.released_at IS NULL) AS held
FROM agents.subscription s
WHERE s.removed_at IS NULL AND (CAST(:user_id AS text) IS NULL OR s.user_id = :user_id)
    AND (CAST(:subscription_id AS text) IS NULL OR s.subscription_id = :subscription_id)
ORDER BY s.created_at, s.subscription_id
""")
_REMOVE = text("UPDATE agents.subscription SET removed_at = clock_timestamp() WHERE subscription_id = :id AND removed_at IS NULL")

_MODEL = text("""
SELECT p.model FROM agents.session s JOIN agents.subscription p ON p.subscription_id = s.subscription WHERE s.session_id = :id
""")


@dataclass(frozen=True)
class Interest:
    """Which events a subscription is about; an empty part narrows nothing.

    Attributes:
        symbols: Coins of the events, canonical.
        event_types: Kinds of the events, such as ``filing``.
        least_impact: From 1 to 10. An event whose source gives it no impact is not met; None: any.
        model: Full name of the model that writes the briefs; empty: the one of ``[agents]``.
        channels: Names of the channels that get the briefs.
    """

    symbols: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    least_impact: int | None = None
    model: str = ""
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subscription:
    """One row of ``agents.subscription``; ``held`` counts its events that wait for the end of a cool-down."""

    subscription_id: str
    user_id: str
    interest: Interest
    created_at: datetime
    held: int


def subscribe(database: Database, user_id: str, interest: Interest, subscription_id: str | None = None) -> Subscription:
    """Add a subscription to the events that are recorded from now on.

    Args:
        database: Where it is to stand.
        user_id: Whose; briefs are written in this user's name and with this user's key.
        interest: Checked parts: symbols, types and channels of the right form, a known model.
        subscription_id: Its id, unique across all users; None: ``<user>-<number>``.

    Raises:
        BadInputError: No such user is possible, the id is taken or malformed, or the user has too many subscriptions.
    """
    if not _USER.fullmatch(user_id) or user_id == SYSTEM_USER:
        raise BadInputError(f"{user_id[:64]!r} can't subscribe: a user has 1 to 64 of a-z, 0-9, _ and -, and {SYSTEM_USER!r} is reserved")
    if subscription_id is not None and not _ID.fullmatch(subscription_id):
        raise BadInputError(f"{subscription_id[:64]!r} is no id: small letters, digits, - and _, at most 64, a letter or digit first")
    with database.engine("writer").begin() as connection:
        connection.execute(_LOCK)
        if connection.execute(_COUNT, {"user_id": user_id}).scalar_one() >= MOST_OF_A_USER:
            raise BadInputError(f"user {user_id!r} has {MOST_OF_A_USER} subscriptions; remove one with `omc agent unsubscribe`")
        own = subscription_id or _free_id(connection, user_id)
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(interest).items()}
        if connection.execute(_ADD, {"subscription_id": own, "user_id": user_id, **values}).one_or_none() is None:
            raise BadInputError(f"the id {own!r} is or was that of another subscription; choose another one with --id")
        return _of(dict(connection.execute(_LIST, {"user_id": user_id, "subscription_id": own}).mappings().one()))


def subscriptions(database: Database, user_id: str | None = None) -> list[Subscription]:
    """Return the subscriptions of a user, or of all, the oldest first."""
    with database.engine("reader").connect() as connection:
        return [_of(dict(row)) for row in connection.execute(_LIST, {"user_id": user_id, "subscription_id": None}).mappings()]


def unsubscribe(database: Database, subscription_id: str) -> Subscription:
    """End a subscription and return it as it was; its sessions and briefs stay, and what a cool-down holds back is not briefed.

    Raises:
        BadInputError: There is no such subscription.
    """
    with database.engine("writer").begin() as connection:
        connection.execute(_LOCK)
        row = connection.execute(_LIST, {"user_id": None, "subscription_id": subscription_id}).mappings().one_or_none()
        if row is None:
            raise BadInputError(f"no subscription {subscription_id[:64]!r}; `omc agent subscriptions` lists them")
        connection.execute(_REMOVE, {"id": subscription_id})
        return _of(dict(row))


def model_of_session(database: Database, session_id: str) -> str:
    """Return the full name of the model that the subscription of a session wants; empty: none does."""
    with database.engine("reader").connect() as connection:
        return str(connection.execute(_MODEL, {"id": session_id}).scalar_one_or_none() or "")


def _free_id(connection: Connection, user_id: str) -> str:
    taken = set(connection.execute(_IDS, {"user_id": user_id}).scalars())
    stem = user_id.lstrip("_-")[:56] or "user"
    return next(name for number in range(1, len(taken) + 2) if (name := f"{stem}-{number}") not in taken)


def _of(row: Mapping[str, Any]) -> Subscription:
    parts: dict[str, Sequence[str]] = {name: tuple(row[name]) for name in ("symbols", "event_types", "channels")}
    interest = Interest(**parts, least_impact=row["least_impact"], model=row["model"])  # type: ignore[arg-type]
    return Subscription(row["subscription_id"], row["user_id"], interest, row["created_at"], row["held"])
