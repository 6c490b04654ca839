"""Let go of old outcomes of checks; scores and alerts stay, they are few and are the history people look at."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg

from omc_infra.postgres.batches import Batch, Purged, purge_in_batches
from omc_infra.postgres.database import Database

ROWS_A_BATCH = 5_000
_START = datetime(1970, 1, 1, tzinfo=UTC)

_DELETE = """
WITH old AS (
    SELECT ctid, recorded_at FROM quality.check_result WHERE recorded_at >= %(after)s AND recorded_at < %(before)s
    ORDER BY recorded_at LIMIT %(most)s
), gone AS (
    DELETE FROM quality.check_result WHERE ctid = ANY(ARRAY(SELECT ctid FROM old)) RETURNING recorded_at
)
SELECT count(*), max(recorded_at) FROM gone
"""


def purge_check_results(database: Database, before: datetime, deadline: float) -> Purged:
    """Delete the outcomes of checks that were recorded before a moment.

    Args:
        database: Where the quality tables are.
        before: Aware.
        deadline: ``time.monotonic()`` after which no batch begins.
    """
    with database.connect("writer") as connection:
        connection.autocommit = True
        return purge_in_batches("check results", connection, partial(_batch, before), _START, deadline)


def _batch(before: datetime, connection: psycopg.Connection[Any], after: datetime) -> Batch[datetime]:
    row = connection.execute(_DELETE, {"after": after, "before": before, "most": ROWS_A_BATCH}).fetchone()
    purged, last = row or (0, None)
    return Batch(purged, last if purged == ROWS_A_BATCH else None)
