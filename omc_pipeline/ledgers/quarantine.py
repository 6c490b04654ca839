"""Rows that were refused, with the reason and the hash of their payload, until a later reading accepts them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import psycopg
from psycopg.types.json import Jsonb

from omc_infra.errors import BadInputError
from omc_pipeline.ledgers.knowledge import stamp

State = Literal["open", "released", "dismissed"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Quarantined:
    """One refused row.

    Attributes:
        quarantine_id: Its number.
        source: Source whose parser refused it.
        reason: Why.
        row: The row as the parser saw it, of plain JSON values.
        row_sha256: Digest of the row.
        payload_sha256: Digest of the newest body that it was refused from; None: it came from no body.
        recorded_at: When it was refused first.
        last_refused_at: When a newer body held it last.
        refused_count: Bodies that held it.
        resolved_at: When it was released or dismissed; None while it is open.
        dismissed_by: Who dismissed it; None where nobody did.
        dismissed_because: Why it was dismissed.
    """

    quarantine_id: int
    source: str
    reason: str
    row: Mapping[str, Any]
    row_sha256: str
    payload_sha256: str | None
    recorded_at: datetime
    last_refused_at: datetime
    refused_count: int
    resolved_at: datetime | None
    dismissed_by: str | None
    dismissed_because: str | None

    @property
    def state(self) -> State:
        """Whether it waits for somebody, was accepted by a later reading, or was dismissed."""
        if self.resolved_at is None:
            return "open"
        return "released" if self.dismissed_by is None else "dismissed"


Refused = tuple[str, Mapping[str, Any]]
"""Reason and row; the row of plain JSON values."""


_REOPENED = """
UPDATE raw.quarantine SET resolved_at = NULL
WHERE source = %(source)s AND reason = %(reason)s AND row_sha256 = %(digest)s AND resolved_at IS NOT NULL AND dismissed_by IS NULL
"""
_KEPT = """
INSERT INTO raw.quarantine (source, reason, row, row_sha256, payload_sha256, recorded_at, last_refused_at)
SELECT %(source)s, %(reason)s, %(row)s, %(digest)s, %(payload)s, %(at)s, %(at)s
WHERE NOT EXISTS (SELECT FROM raw.quarantine WHERE source = %(source)s AND reason = %(reason)s AND row_sha256 = %(digest)s)
ON CONFLICT (source, reason, row_sha256) DO NOTHING
"""
"""A row that is there already takes no number."""
_FROM_NEWER_BODY = """
UPDATE raw.quarantine AS q SET payload_sha256 = %(payload)s, refused_count = refused_count + 1, last_refused_at = %(at)s
WHERE source = %(source)s AND reason = %(reason)s AND row_sha256 = %(digest)s AND payload_sha256 IS DISTINCT FROM %(payload)s
  AND coalesce((SELECT max(fetched_at) FROM raw.fetch WHERE payload_sha256 = %(payload)s), 'infinity')
    >= coalesce((SELECT max(fetched_at) FROM raw.fetch AS f WHERE f.payload_sha256 = q.payload_sha256), '-infinity')
"""
"""A body without a fetch (one that is just being stored) counts as the newest; a replay of an older one changes nothing."""
_COLUMNS = (
    "quarantine_id, source, reason, row, row_sha256, payload_sha256, recorded_at, last_refused_at, refused_count, resolved_at,"
    " dismissed_by, dismissed_because"
)
_IN_STATE: Mapping[State, str] = {
    "open": "resolved_at IS NULL",
    "released": "resolved_at IS NOT NULL AND dismissed_by IS NULL",
    "dismissed": "dismissed_by IS NOT NULL",
}


def quarantine(connection: psycopg.Connection[Any], source: str, refused: Sequence[Refused], payload_sha256: str | None) -> int:
    """Write refused rows, within the caller's transaction.

    The same row with the same reason is kept once; one that had been released is open again, one that a person dismissed is not. It
    names the newest body that it was refused from, so that a replay of what came lately closes it.

    Returns:
        How many are open now that weren't before.
    """
    if not refused:
        return 0
    opened, recorded_at = 0, stamp(connection, "raw.quarantine")
    for reason, row in refused:
        bound = {"source": source, "reason": reason, "digest": refused_digest(row), "payload": payload_sha256, "at": recorded_at}
        opened += connection.execute(_REOPENED, bound).rowcount
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
    """Return the refused rows that ``quarantine`` would open, each once: those that are neither open already nor dismissed."""
    named = {(reason, refused_digest(row)): (reason, row) for reason, row in refused}
    held = connection.execute(
        "SELECT reason, row_sha256 FROM raw.quarantine WHERE source = %s AND (resolved_at IS NULL OR dismissed_by IS NOT NULL)", [source]
    )
    return [named[name] for name in named.keys() - set(held.fetchall())]


def open_rows(connection: psycopg.Connection[Any], source: str | None = None, limit: int = 1_000) -> list[Quarantined]:
    """Return the rows not yet resolved, newest first, of one source or of all."""
    return rows_in(connection, "open", source, limit)


def rows_in(connection: psycopg.Connection[Any], state: State | None, source: str | None = None, limit: int = 1_000) -> list[Quarantined]:
    """Return rows in a state (None: in any), newest first, of one source or of all."""
    is_wanted = "true" if state is None else _IN_STATE[state]
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM raw.quarantine WHERE {is_wanted} AND (%(source)s::text IS NULL OR source = %(source)s)"
        " ORDER BY quarantine_id DESC LIMIT %(limit)s",
        {"source": source, "limit": limit},
    ).fetchall()
    return [Quarantined(*row) for row in rows]


def rows_numbered(connection: psycopg.Connection[Any], numbers: Collection[int]) -> list[Quarantined]:
    """Return the rows with these numbers, in the order of the numbers.

    Raises:
        BadInputError: There is no row with one of the numbers.
    """
    rows = connection.execute(f"SELECT {_COLUMNS} FROM raw.quarantine WHERE quarantine_id = ANY(%s)", [list(numbers)]).fetchall()
    found = {row[0]: Quarantined(*row) for row in rows}
    if unknown := [number for number in numbers if number not in found]:
        raise BadInputError(f"no row {unknown[0]} is in quarantine; `omc quarantine list --state all` shows them")
    return [found[number] for number in sorted(set(numbers))]


def dismiss(connection: psycopg.Connection[Any], numbers: Collection[int], person: str, because: str) -> list[Quarantined]:
    """Close rows that a person looked at and doesn't want; they stay closed when another body holds them again.

    Args:
        connection: In the caller's transaction.
        numbers: Of the rows; all are dismissed or none.
        person: Who dismisses them.
        because: Why, in the person's words.

    Returns:
        The rows as they are now.

    Raises:
        BadInputError: One of them does not exist or is not open.
    """
    for row in rows_numbered(connection, numbers):
        if row.state != "open":
            raise BadInputError(f"row {row.quarantine_id} is not open: it is {row.state} since {row.resolved_at:%F %T}Z")
    connection.execute(
        "UPDATE raw.quarantine SET resolved_at = clock_timestamp(), dismissed_by = %s, dismissed_because = %s"
        " WHERE quarantine_id = ANY(%s) AND resolved_at IS NULL",
        [person, because, list(numbers)],
    )
    return rows_numbered(connection, numbers)


def fetches_of(connection: psycopg.Connection[Any], rows: Collection[Quarantined]) -> dict[str, datetime]:
    """Return the newest fetch time of each body that the rows came from and that is still kept."""
    digests = [row.payload_sha256 for row in rows if row.payload_sha256]
    found = connection.execute(
        "SELECT payload_sha256, max(fetched_at) FROM raw.fetch JOIN raw.payload ON sha256 = payload_sha256"
        " WHERE payload_sha256 = ANY(%s) AND body IS NOT NULL GROUP BY payload_sha256",
        [digests],
    )
    return dict(found.fetchall())


def refused_digest(row: Mapping[str, Any]) -> str:
    """Return a sha256 over a refused row, whatever the order of its keys."""
    return hashlib.sha256(_canonical_json(row).encode()).hexdigest()


def _canonical_json(row: Mapping[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, default=str)
