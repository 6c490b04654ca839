"""Delete rows in batches, one short transaction each, so that a killed purge keeps its progress and the next one continues."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import psycopg

Position = TypeVar("Position")


@dataclass(frozen=True)
class Batch(Generic[Position]):
    """What one batch did, and where the next begins; ``following`` is None where nothing is left."""

    purged: int
    following: Position | None


@dataclass(frozen=True)
class Purged:
    """Result of a purge; it is incomplete if the time ran out."""

    what: str
    count: int
    is_complete: bool = True


def purge_in_batches(
    what: str,
    connection: psycopg.Connection[Any],
    batch: Callable[[psycopg.Connection[Any], Position], Batch[Position]],
    start: Position,
    deadline: float,
) -> Purged:
    """Run batches, one transaction each, until nothing is left or the time is up.

    Args:
        what: What is purged, for a person.
        connection: Not inside a transaction.
        batch: Purges what comes after a position. Rows that another purge works on are its to skip.
        start: Position before the first row.
        deadline: ``time.monotonic()`` after which no batch begins; one is always done.
    """
    position: Position | None = start
    count = 0
    while position is not None:
        with connection.transaction():
            done = batch(connection, position)
        count, position = count + done.purged, done.following
        if time.monotonic() >= deadline:
            break
    return Purged(what, count, position is None)


def kept_since(now: datetime, keep_days: int) -> datetime | None:
    """Return the time before which data is removed, or None if it is kept forever (0 days)."""
    return now - timedelta(days=keep_days) if keep_days else None
