"""The raw store: every response body once, under its SHA-256, and a row for every fetch that brought it.

A body that was parsed wrongly, or not at all, is still there for ``omc replay``. A fetch is recorded also when the body is a known
one: that proves freshness. A body let go after its retention leaves its digest and its fetches; fetched again, it is stored again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psycopg
import structlog
import zstandard
from psycopg.types.json import Jsonb

from omc_infra.errors import PayloadChangedError
from omc_infra.http import Validators
from omc_infra.objects import Objects
from omc_infra.payload import Payload
from omc_pipeline.ledgers.bodies import LOCK, name_of, packed_body, pointer

log = structlog.get_logger()

NOT_MODIFIED = 304

_LEVEL = 3
_PARSED_STATUSES = (*range(200, 300), NOT_MODIFIED)
_STORE_FETCH = """
INSERT INTO raw.fetch
    (source, url, status, payload_sha256, context, etag, last_modified, fetched_at, method, request_sha256, run_id)
VALUES (%(source)s, %(url)s, %(status)s, %(payload_sha256)s, %(context)s, %(etag)s, %(last_modified)s, %(fetched_at)s, %(method)s,
    %(request_sha256)s, %(run_id)s)
ON CONFLICT DO NOTHING
"""


class PostgresRawStore:
    """``omc_infra.http.RawStore`` on the tables of schema ``raw``; each call is a transaction of its own.

    Args:
        connection: Of role writer, and not inside a transaction when the store is called.
        bodies: Where bodies go; None: into the database.
    """

    def __init__(self, connection: psycopg.Connection[Any], bodies: Objects | None = None) -> None:
        self._connection, self._bodies = connection, bodies

    def store(self, payload: Payload, *, etag: str | None, last_modified: str | None) -> None:
        """Keep a body of any status, and the fetch; the same fetch twice is one row."""
        with self._connection.transaction():
            if not payload.not_modified:
                self._store_body(payload)
            self._connection.execute(_STORE_FETCH, {**_fetch(payload), "etag": etag, "last_modified": last_modified})

    def mark_parsed(self, payload: Payload) -> None:
        """Note in the caller's transaction that the rows of a body are stored; it is no transaction of its own."""
        self._connection.execute(
            "UPDATE raw.fetch SET parsed_at = clock_timestamp() WHERE source = %(source)s AND request_sha256 = %(request_sha256)s"
            " AND fetched_at = %(fetched_at)s AND payload_sha256 = %(payload_sha256)s AND parsed_at IS NULL",
            _fetch(payload),
        )

    def validators(self, source: str, request_sha256: str) -> Validators | None:
        """Return the validators of the last parsed 200 of a request, or None where it had none."""
        with self._connection.transaction():
            row = self._connection.execute(
                "SELECT etag, last_modified, payload_sha256 FROM raw.fetch WHERE source = %s AND request_sha256 = %s AND status = 200"
                " AND parsed_at IS NOT NULL ORDER BY fetched_at DESC, fetch_id DESC LIMIT 1",
                [source, request_sha256],
            ).fetchone()
        return Validators(*row) if row and (row[0] or row[1]) else None

    def newest(self, source: str, request_sha256: str, since: datetime) -> tuple[str, datetime] | None:
        """Return digest and fetch time of the newest 200 of a request since a time, or None where there was none."""
        with self._connection.transaction():
            row = self._connection.execute(
                "SELECT payload_sha256, fetched_at FROM raw.fetch WHERE source = %s AND request_sha256 = %s AND status = 200"
                " AND fetched_at >= %s ORDER BY fetched_at DESC, fetch_id DESC LIMIT 1",
                [source, request_sha256, since],
            ).fetchone()
        return (row[0], row[1]) if row else None

    def body(self, sha256: str) -> bytes:
        """Return a body.

        Raises:
            LookupError: There is none of that digest, or it was let go.
            OmcError: It lies in S3, and can't be had from there.
            PayloadChangedError: What is kept under it is not it: the store was damaged.
        """
        with self._connection.transaction():
            row = self._connection.execute("SELECT body, size_bytes FROM raw.payload WHERE sha256 = %s", [sha256], binary=True).fetchone()
        if row is None or row[0] is None:
            raise LookupError(f"no body {sha256} in the raw store")
        return _unpacked(packed_body(row[0], sha256, self._bodies), row[1], sha256)

    def stored(self, source: str, since: datetime, until: datetime) -> Iterator[Payload]:
        """Yield the successful payloads of a source as they were fetched, oldest first; those whose body was let go are passed over.

        Args:
            source: Name of the source.
            since: First fetch time.
            until: Fetch time before which to stop.
        """
        with self._connection.transaction():
            fetches = self._connection.execute(
                "SELECT payload_sha256, fetched_at, url, media_type, context, method, request_sha256, run_id"
                " FROM raw.fetch JOIN raw.payload ON sha256 = payload_sha256"
                " WHERE source = %s AND fetched_at >= %s AND fetched_at < %s AND status = ANY(%s) AND body IS NOT NULL"
                " ORDER BY fetched_at, fetch_id",
                [source, since, until, list(_PARSED_STATUSES)],
            ).fetchall()
        for sha256, fetched_at, url, media_type, context, *asked in fetches:
            try:
                body = self.body(sha256)
            except LookupError:  # let go since the list was read, or gone from where it lies
                log.warning("a stored body is gone", source=source, sha256=sha256)
                continue
            yield Payload(source, body, fetched_at, url, 200, media_type, context, False, *asked)

    def _store_body(self, payload: Payload) -> None:
        # The lock keeps retention from letting a known body go before this fetch of it is there to be seen.
        known = self._connection.execute(
            "SELECT body IS NOT NULL FROM raw.payload WHERE sha256 = %s FOR SHARE", [payload.sha256]
        ).fetchone()
        if known and known[0]:
            return
        packed = zstandard.ZstdCompressor(level=_LEVEL).compress(payload.body)
        if self._bodies is not None:
            self._connection.execute(LOCK, [payload.sha256])
            self._bodies.put(name_of(payload.sha256), packed)
            packed = pointer(self._bodies)
        self._connection.execute(
            "INSERT INTO raw.payload (sha256, body, size_bytes, media_type, first_seen_at)"
            " VALUES (%s, %b, %s, %s, %s) ON CONFLICT (sha256) DO UPDATE SET body = EXCLUDED.body WHERE payload.body IS NULL",
            [payload.sha256, packed, len(payload.body), payload.media_type, payload.fetched_at],
        )


def _fetch(payload: Payload) -> dict[str, object]:
    return {
        "source": payload.source,
        "url": payload.url,
        "status": NOT_MODIFIED if payload.not_modified else payload.status,
        "payload_sha256": payload.sha256,
        "context": Jsonb(dict(payload.context)),
        "fetched_at": payload.fetched_at,
        "method": payload.method,
        "request_sha256": payload.request_sha256,
        "run_id": payload.run_id,
    }


def _unpacked(packed: bytes, size_bytes: int, sha256: str) -> bytes:
    try:
        body = zstandard.ZstdDecompressor().decompress(packed, max_output_size=size_bytes)
    except zstandard.ZstdError as error:
        raise PayloadChangedError(f"raw store: body {sha256} can't be unpacked: {error}") from error
    if hashlib.sha256(body).hexdigest() != sha256:
        raise PayloadChangedError(f"raw store: the body stored as {sha256} has another digest; restore it from a backup")
    return body
