"""Bring the candles up to date, in steps that are kept: what is done stays done when a later step fails."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from omc_pipeline.candles.statement import CANDLES, INTERVALS
from omc_pipeline.ledgers.candle import CANDLE
from omc_pipeline.ledgers.exchange import QUOTE
from omc_pipeline.ledgers.glass import MARKET_CANDLE
from omc_pipeline.ledgers.knowledge import stamp
from omc_pipeline.ledgers.partitions import make_months

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

SOURCE = "glass_candles"
LONGEST_S = 300.0
"""A home with a long history of quotes is caught up with in several runs of about this length."""
_STEP = timedelta(days=1)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_LOCK = "SELECT pg_advisory_lock(hashtextextended('omc.candles', 0))"
_INPUT_LOCK = "SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))"
_FIRST = "SELECT date_trunc('day', min(observed_at), 'UTC') FROM exchange.quote"
_CURSOR = "SELECT recorded_until, closed_until FROM glass.candle_cursor"
_MOVE = """
INSERT INTO glass.candle_cursor (recorded_until, closed_until) VALUES (%s, %s)
ON CONFLICT (only_row) DO UPDATE SET recorded_until = EXCLUDED.recorded_until, closed_until = EXCLUDED.closed_until
"""


@dataclass(frozen=True)
class Derived:
    """What a run did: new candles, candles that became other ones by late or corrected quotes, and up to when candles are there."""

    inserted: int
    changed: int
    closed_until: datetime
    is_complete: bool


@dataclass(frozen=True)
class _Cursor:
    """Up to which recording time quotes and published candles were read, and up to when spans are closed."""

    recorded: datetime
    published: datetime
    closed: datetime


def derive_candles(database: Database, now: datetime, longest_s: float = LONGEST_S) -> Derived:
    """Make the candles of all spans that have ended, and correct those whose quotes came late.

    Args:
        database: Where quotes and candles are.
        now: The present, aware; the minute in which it lies has not ended.
        longest_s: After so long no further step begins.
    """
    deadline, until = time.monotonic() + longest_s, now.replace(second=0, microsecond=0)
    inserted = changed = 0
    with database.connect("writer") as connection:
        connection.execute(_LOCK)  # until the connection ends: another run begins where this one ends
        connection.commit()
        known = _known(connection)
        cursor = _cursor(connection, known, until)
        while True:
            closing = max(min(cursor.closed + _STEP, until), cursor.closed)
            done = _step(connection, cursor, known, closing)
            inserted, changed = inserted + done[0], changed + done[1]
            cursor = _Cursor(known, known, closing)
            if closing >= until or time.monotonic() >= deadline:
                return Derived(inserted, changed, closing, closing >= until)


def _known(connection: psycopg.Connection[Any]) -> datetime:
    """Return a time up to which all input is committed: the writers that hold the inputs are waited for."""
    with connection.transaction():
        for table in (QUOTE, MARKET_CANDLE):
            connection.execute(_INPUT_LOCK, [f"omc.append {table.qualified}"])
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    if row is None:
        raise AssertionError(_INPUT_LOCK)
    return row[0]  # type: ignore[no-any-return]


def _cursor(connection: psycopg.Connection[Any], known: datetime, until: datetime) -> _Cursor:
    """Return where the run before ended; the first run begins with the first quote, none of them being late."""
    with connection.transaction():
        row = connection.execute(_CURSOR).fetchone()
        if row is not None:
            return _Cursor(row[0], row[0], row[1])
        first = connection.execute(_FIRST).fetchone()
    return _Cursor(known, _NEVER, (first[0] if first else None) or until)


def _step(connection: psycopg.Connection[Any], cursor: _Cursor, known: datetime, closing: datetime) -> tuple[int, int]:
    with connection.transaction():
        make_months(connection, CANDLE, closing, closing)
        bound = {"source": SOURCE, "closed": cursor.closed, "closing": closing, "recorded": cursor.recorded, "known": known}
        bound |= {"published": cursor.published, "intervals": list(INTERVALS), "stamp": stamp(connection, CANDLE.qualified)}
        row = connection.execute(CANDLES, bound, prepare=False).fetchone()
        connection.execute(_MOVE, [known, closing])
    return (int(row[0]), int(row[1])) if row else (0, 0)
