"""Let go of old bodies in the raw store, and of nothing else: ledger rows are never touched.

Who was told what and when (the fetches, and the digest, size and type of each body) stays, too: it costs little, and a replay asks
it whether a fact was told again later.

Kept, however old: of each source and request the latest body of each status and the latest that was parsed, which the next replay and
the next conditional request want, and every body that an open quarantine row came from.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg

from omc_infra.postgres.batches import Batch, Purged, purge_in_batches
from omc_infra.postgres.database import Database

BODIES_A_BATCH = 500
_Position = tuple[datetime, str]
_START: _Position = (datetime(1970, 1, 1, tzinfo=UTC), "")

_OLD = """
SELECT first_seen_at, sha256 FROM raw.payload
WHERE body IS NOT NULL AND first_seen_at < %(before)s AND (first_seen_at, sha256) > (%(seen_at)s, %(sha256)s)
ORDER BY first_seen_at, sha256 LIMIT %(most)s FOR NO KEY UPDATE SKIP LOCKED
"""
_LET_GO = """
UPDATE raw.payload SET body = NULL
WHERE sha256 = ANY(%(found)s)
AND NOT EXISTS (SELECT FROM raw.quarantine AS refused WHERE refused.payload_sha256 = payload.sha256 AND refused.resolved_at IS NULL)
AND NOT EXISTS (
    SELECT FROM raw.fetch AS told WHERE told.payload_sha256 = payload.sha256 AND (told.fetched_at >= %(before)s OR NOT EXISTS (
        SELECT FROM raw.fetch AS later WHERE later.source = told.source AND later.request_sha256 = told.request_sha256
        AND later.status = told.status AND (later.parsed_at IS NOT NULL OR told.parsed_at IS NULL)
        AND (later.fetched_at, later.fetch_id) > (told.fetched_at, told.fetch_id))))
"""


def purge_bodies(database: Database, before: datetime, deadline: float) -> Purged:
    """Let go of the bodies that were last fetched before a moment, but for those that are kept.

    Args:
        database: Where the raw store is.
        before: Aware.
        deadline: ``time.monotonic()`` after which no batch begins.
    """
    with database.connect("writer") as connection:
        connection.autocommit = True
        return purge_in_batches("raw bodies", connection, partial(_batch, before), _START, deadline)


def _batch(before: datetime, connection: psycopg.Connection[Any], after: _Position) -> Batch[_Position]:
    """Lock, then look again: a body that is being stored now is locked by its store, or its new fetch is seen by the second statement."""
    bound = {"before": before, "seen_at": after[0], "sha256": after[1], "most": BODIES_A_BATCH}
    found = connection.execute(_OLD, bound).fetchall()
    purged = connection.execute(_LET_GO, {"found": [sha256 for _, sha256 in found], "before": before}).rowcount
    return Batch(purged, found[-1] if len(found) == BODIES_A_BATCH else None)
