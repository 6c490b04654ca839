"""Erase the text of deleted posts: in every version, in the raw bodies, and in refused rows.

The one exception to append-only: an author who deletes a post can expect that its text is gone everywhere. What stays is that
there was a post, when, its votes, and a row in ``human.erasure``, which has no text of the post. Raw bodies are
removed as a whole, because their digest is their name; the rows of other posts in them stay in the ledger, but can't be replayed.

Not here: finding out that a post was deleted (its source does that), backups and the server's log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from omc_infra.errors import PayloadChangedError
from omc_infra.objects import Objects
from omc_pipeline.ledgers.human import POST, Post, erased
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.ledgers.table import row_digest

_HELD_BEFORE = timedelta(hours=1)
"""A body may have been fetched so long before its rows were recorded."""

_WORDS = f"""
SELECT {", ".join(POST.fields)}, version, recorded_at FROM human.post
WHERE source = %s AND post_id = ANY(%s) ORDER BY post_id, version
"""
_ERASE = """
UPDATE human.post SET title = %s, link = %s, text = %s, symbols = %s, row_sha256 = %s WHERE source = %s AND post_id = %s AND version = %s
"""
_BODIES = """
SELECT DISTINCT payload_sha256 FROM raw.fetch JOIN raw.payload ON sha256 = payload_sha256
WHERE (source = %s OR url LIKE 'ledger:human.post?%%') AND fetched_at >= %s AND body IS NOT NULL AND sha256 <> %s
"""
_REFUSED = """
UPDATE raw.quarantine SET row = %s WHERE source = %s AND row ->> 'id' = ANY(%s) AND row <> %s
"""
_RECORD = "INSERT INTO human.erasure (source, post_id, reason, versions, bodies, refused) VALUES (%s, %s, %s, %s, %s, %s)"


@dataclass(frozen=True)
class _Version:
    post: Post
    version: int
    recorded_at: datetime


def erase_taken_back(
    connection: psycopg.Connection[Any], source: str, rows: Iterable[object], payload_sha256: str | None, bodies: Objects | None = None
) -> None:
    """Erase the text of the posts that rows mark as deleted, once for each post, within the caller's transaction.

    Args:
        connection: Of role writer, after the rows were appended.
        source: Who told us.
        rows: The appended rows; rows of other tables are ignored.
        payload_sha256: The body they were parsed from; its text was removed before it was stored.
        bodies: Store of the bodies outside the database.
    """
    reasons = {row.post_id: row.removed for row in rows if isinstance(row, Post) and row.removed is not None}
    if not reasons:
        return
    found = connection.execute(_WORDS, [source, list(reasons)]).fetchall()
    known = [_Version(Post(*facts), version, recorded_at) for *facts, version, recorded_at in found]
    worded = [each for each in known if erased(each.post, each.post.removed) != each.post]
    if not worded:
        return
    for each in worded:
        blank = erased(each.post, each.post.removed)
        facts = [blank.title, blank.link, blank.text, blank.symbols, row_digest(blank), source, blank.post_id, each.version]
        connection.execute(_ERASE, facts)
    posts = sorted({each.post.post_id for each in worded})
    versions = Counter(each.post.post_id for each in worded)
    raw, since = PostgresRawStore(connection, bodies), min(each.recorded_at for each in worded) - _HELD_BEFORE
    let_go = _let_go(connection, raw, source, posts, since, payload_sha256)
    for post_id in posts:
        refused = _erase_refused(connection, source, post_id)
        connection.execute(_RECORD, [source, post_id, reasons[post_id], versions[post_id], let_go[post_id], refused])


def _let_go(
    connection: psycopg.Connection[Any],
    raw: PostgresRawStore,
    source: str,
    posts: Sequence[str],
    since: datetime,
    payload_sha256: str | None,
) -> Counter[str]:
    """Remove the bodies with one of the posts, except the newest one, which was just read; return the number for each post."""
    counts = Counter[str]()
    for (sha256,) in connection.execute(_BODIES, [source, since, payload_sha256 or ""]).fetchall():
        try:
            body = raw.body(sha256)
        except PayloadChangedError:  # damaged, so nobody can tell what it holds
            named = list(posts)
        else:
            named = [post_id for post_id in posts if f'"{post_id}"'.encode() in body]
        if named:
            connection.execute("UPDATE raw.payload SET body = NULL WHERE sha256 = %s", [sha256])
            counts.update(named)
    return counts


def _erase_refused(connection: psycopg.Connection[Any], source: str, post_id: str) -> int:
    blank = Jsonb({"id": post_id, "erased": True})
    return connection.execute(_REFUSED, [blank, source, [post_id], blank]).rowcount
