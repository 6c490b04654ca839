"""Rows that were refused, with the reason and the hash of their payload, until a later reading accepts them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from omc_pipeline.ledgers.knowledge import stamp


@dataclass(frozen=True)
class Quarantined:
    """One refused row."""

    quarantine_id: int
    source: str
    reason: str
    row: Mapping[str, Any]
    row_sha256: str
    payload_sha256: str | None
    recorded_at: datetime
    resolved_at: datetime | None


Refused = tuple[str, Mapping[str, Any]]
"""Reason and row; the row of plain JSON values."""


_KEPT = """
INSERT INTO raw.quarantine (source, reason, row, row_sha256, payload_sha256, recorded_at)
VALUES (%(source)s, %(reason)s, %(row)s, %(digest)s, %(payload)s, %(at)s)
ON CONFLICT (source, reason, row_sha256) DO UPDATE SET resolved_at = NULL WHERE quarantine.resolved_at IS NOT NULL
"""
_FROM_NEWER_BODY = """
UPDATE raw.quarantine AS q SET payload_sha256 = %(payload)s
WHERE source = %(source)s AND reason = %(reason)s AND row_sha256 = %(digest)s AND payload_sha256 IS DISTINCT FROM %(payload)s
  AND coalesce((SELECT max(fetched_at) FROM raw.fetch WHERE payload_sha256 = %(payload)s), 'infinity')
    >= coalesce((SELECT max(fetched_at) FROM raw.fetch AS f WHERE f.payload_sha256 = q.payload_sha256), '-infinity')
"""
"""A body without a fetch (one that is just being stored) counts as the newest; a replay of an older one changes nothing."""


def quarantine(connection: psycopg.Connection[Any], source: str, refused: Sequence[Refused], payload_sha256: str | None) -> int:
    """Write refused rows, within the caller's transaction.

    The same row with the same reason is kept once; one that had been resolved is open again. It names the newest body that it was
    refused from, so that a replay of what came lately closes it.

    Returns:
        How many are open now that weren't before.
    """
    if not refused:
        return 0
    opened, recorded_at = 0, stamp(connection, "raw.quarantine")
    for reason, row in refused:
        bound = {"source": source, "reason": reason, "digest": refused_digest(row), "payload": payload_sha256, "at": recorded_at}
        opened += connection.execute(_KEPT, {**bound, "row": Jsonb(dict(row), dumps=_canonical_json)}).rowcount
        if payload_sha256 is not None:
            connection.execute(_FROM_NEWER_BODY, bound)
    return opened


def resolve(connection: psycopg.Connection[Any], source: str, payloads: Collection[str], still: Collection[Refused]) -> int:
    """Close the open rows that came from payloads which have been read again, but for those refused again.

    Args:
        connection: In the caller's transaction.
        source: Whose rows.
        payloads: Digests of the payloads read again.
        still: What was refused in that reading.

    Returns:
        How many were closed.
    """
    accepted = resolvable(connection, source, payloads, still, for_update=True)
    connection.execute("UPDATE raw.quarantine SET resolved_at = clock_timestamp() WHERE quarantine_id = ANY(%s)", [accepted])
    return len(accepted)


def resolvable(
    connection: psycopg.Connection[Any], source: str, payloads: Collection[str], still: Collection[Refused], *, for_update: bool = False
) -> list[int]:
    """Return the ids of the rows that ``resolve`` would close; arguments as there. ``for_update`` locks what it looks at."""
    again = {(reason, refused_digest(row)) for reason, row in still}
    held = connection.execute(
        "SELECT quarantine_id, reason, row_sha256 FROM raw.quarantine"
        " WHERE source = %s AND resolved_at IS NULL AND payload_sha256 = ANY(%s)" + (" FOR UPDATE" if for_update else ""),
        [source, list(payloads)],
    ).fetchall()
    return [quarantine_id for quarantine_id, reason, digest in held if (reason, digest) not in again]


def not_open(connection: psycopg.Connection[Any], source: str, refused: Collection[Refused]) -> list[Refused]:
    """Return the refused rows that ``quarantine`` would open, each once: those that aren't open already."""
    named = {(reason, refused_digest(row)): (reason, row) for reason, row in refused}
    held = connection.execute("SELECT reason, row_sha256 FROM raw.quarantine WHERE source = %s AND resolved_at IS NULL", [source])
    return [named[name] for name in named.keys() - set(held.fetchall())]


def open_rows(connection: psycopg.Connection[Any], source: str | None = None, limit: int = 1_000) -> list[Quarantined]:
    """Return the rows not yet resolved, newest first, of one source or of all."""
    rows = connection.execute(
        "SELECT quarantine_id, source, reason, row, row_sha256, payload_sha256, recorded_at, resolved_at FROM raw.quarantine"
        " WHERE resolved_at IS NULL AND (%(source)s::text IS NULL OR source = %(source)s) ORDER BY quarantine_id DESC LIMIT %(limit)s",
        {"source": source, "limit": limit},
    ).fetchall()
    return [Quarantined(*row) for row in rows]


def refused_digest(row: Mapping[str, Any]) -> str:
    """Return a sha256 over a refused row, whatever the order of its keys."""
    return hashlib.sha256(_canonical_json(row).encode()).hexdigest()


def _canonical_json(row: Mapping[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, default=str)
