"""What the ledger has learned of a user since a run: which coins are touched, from when on, and what it knows now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from omc_pipeline.positions.copying import copied_out
from omc_pipeline.positions.fills import BEGINNING, END, Key, sources

if TYPE_CHECKING:
    import psycopg

TOUCHED = """
SELECT symbol, currency, fee_currency, min(executed_at) FROM exchange.fill
WHERE user_id = %(user)s AND recorded_at > %(since)s GROUP BY 1, 2, 3
"""
TOUCHED_BEFORE = """
SELECT old.symbol, old.currency, old.fee_currency, min(old.executed_at) FROM exchange.fill new
JOIN exchange.fill old ON old.source = new.source AND old.fill_id = new.fill_id AND old.version = new.version - 1
WHERE new.user_id = %(user)s AND new.recorded_at > %(since)s AND new.version > 1 GROUP BY 1, 2, 3
"""
TOUCHED_BY_HALVES = """
SELECT other.symbol, other.currency, other.fee_currency, min(other.executed_at) FROM exchange.fill new
JOIN exchange.fill other ON other.user_id = new.user_id AND other.trade_id = new.trade_id AND other.kind = 'transfer'
WHERE new.user_id = %(user)s AND new.recorded_at > %(since)s AND new.kind = 'transfer' GROUP BY 1, 2, 3
"""
NEW = """
SELECT count(*), count(*) FILTER (WHERE version = 1), max(recorded_at) FROM exchange.fill
WHERE user_id = %(user)s AND recorded_at > %(since)s
"""
DIGESTS = """
SELECT decode(row_sha256, 'hex') FROM exchange.fill WHERE user_id = {user} AND recorded_at > {since} AND symbol <> ALL({without})
"""
REPLACED_DIGESTS = """
SELECT old.row_sha256 FROM exchange.fill new
JOIN exchange.fill old ON old.source = new.source AND old.fill_id = new.fill_id AND old.version = new.version - 1
WHERE new.user_id = %(user)s AND new.recorded_at > %(since)s AND new.version > 1
"""
NEW_FILLS = """
SELECT count(*), min(fill_id) FROM (
    SELECT DISTINCT source, fill_id FROM exchange.fill WHERE user_id = %s AND recorded_at > %s
) fills
"""
TOLD_TWICE = """
SELECT DISTINCT ON (late.source, late.fill_id) late.source, late.fill_id, late.symbol, late.executed_at, first.source
FROM exchange.fill late JOIN exchange.fill first ON first.fill_id = late.fill_id AND first.source = ANY(%(sources)s)
    AND first.source <> late.source AND first.version = 1 AND first.user_id = late.user_id AND first.account_id = late.account_id
    AND (first.recorded_at, first.source) < (late.recorded_at, late.source)
WHERE late.user_id = %(user)s AND late.recorded_at > %(since)s AND late.recorded_at <= %(until)s AND late.version = 1
ORDER BY late.source, late.fill_id, first.source
"""
MODULUS = 1 << 256
_DIGITS, _DIGEST_ROW, _DIGESTS_AT_ONCE = 8, 2 + 4 + 32, 50_000


@dataclass(slots=True)
class Changes:
    """``since`` says from when on a coin's fills may have changed, ``rows`` what was recorded, ``fills`` how many of them are new."""

    since: dict[str, datetime] = field(default_factory=dict)
    rows: int = 0
    fills: int = 0
    known_at: datetime | None = None

    def touch(self, coins: Iterable[str], at: datetime) -> None:
        """Note that something happened to coins."""
        for coin in coins:
            self.since[coin] = min(at, self.since.get(coin, at))


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A fill that another source had told before."""

    key: Key
    symbol: str
    executed_at: datetime
    told_by: str


def changes_since(connection: psycopg.Connection[Any], user_id: str, known_at: datetime | None) -> Changes:
    """Ask the ledger what it recorded of a user after ``known_at``, or at all."""
    bound = {"user": user_id, "since": known_at or BEGINNING}
    changes = Changes(known_at=known_at)
    rows, fills, newest = connection.execute(NEW, bound).fetchone() or (0, 0, None)
    changes.rows, changes.fills, changes.known_at = rows, fills, newest or known_at
    if changes.rows:
        for statement in (TOUCHED, TOUCHED_BEFORE, TOUCHED_BY_HALVES):
            for *coins, at in connection.execute(statement, bound):
                changes.touch(coins, at)
    return changes


def digest_since(connection: psycopg.Connection[Any], user_id: str, known_at: datetime | None, without: Sequence[str] = ()) -> int:
    """Answer what the fills recorded after ``known_at`` add to the sum of digests, those of some coins left out.

    Digests are added up as columns of digits, base 2^32; of a corrected fill the digest that it had before is taken off.
    """
    import numpy as np
    from psycopg import sql

    since = known_at or BEGINNING
    statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(
        sql.SQL(DIGESTS).format(user=sql.Literal(user_id), since=sql.Literal(since), without=sql.Literal(list(without)))
    )
    total = np.zeros(_DIGITS, np.uint64)
    for content, rows in copied_out(connection, statement, _DIGESTS_AT_ONCE):
        words = np.frombuffer(content, np.uint8).reshape(rows, _DIGEST_ROW)[:, 6:]
        total += np.ascontiguousarray(words).view(">u4").astype(np.uint64).sum(axis=0)
    replaced = connection.execute(REPLACED_DIGESTS, {"user": user_id, "since": since})
    return sum(int(word) << (32 * (_DIGITS - 1 - place)) for place, word in enumerate(total)) - sum(int(old, 16) for (old,) in replaced)


def ledger_at(connection: psycopg.Connection[Any], user_id: str, known_at: datetime | None) -> tuple[int, int]:
    """Return how many fills the ledger holds that were known at a time, and the sum of their digests then."""
    bounds = (BEGINNING, known_at or BEGINNING)
    fills = [connection.execute(NEW, {"user": user_id, "since": since}).fetchone() or (0, 0, None) for since in bounds]
    digests = [digest_since(connection, user_id, since) for since in bounds]
    return fills[0][1] - fills[1][1], (digests[0] - digests[1]) % MODULUS


def fills_since(connection: psycopg.Connection[Any], user_id: str, known_at: datetime | None) -> tuple[int, str | None]:
    """Return how many fills were recorded or corrected after a time, and the id of one of them."""
    return connection.execute(NEW_FILLS, (user_id, known_at or BEGINNING)).fetchone() or (0, None)


def duplicates_since(
    connection: psycopg.Connection[Any], user_id: str, known_at: datetime | None, until: datetime = END
) -> Sequence[Duplicate]:
    """Return the fills recorded after ``known_at`` and up to ``until`` that another source had told of the same account, by the same id."""
    told_by = sources(connection)
    if len(told_by) < 2:
        return ()
    rows = connection.execute(TOLD_TWICE, {"user": user_id, "since": known_at or BEGINNING, "until": until, "sources": told_by})
    return [Duplicate((source, fill_id), *rest) for source, fill_id, *rest in rows]
