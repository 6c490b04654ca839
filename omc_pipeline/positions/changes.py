"""What the ledger has learned of a user since a run: which coins are touched, from when on, and what it knows now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from omc_pipeline.positions.copying import copied_out
from omc_pipeline.positions.fills import BEGINNING

if TYPE_CHECKING:
    import psycopg

TOUCHED = """
SELECT symbol, currency, fee_currency, min(executed_at) FROM exchange.fill
WHERE user_id = %(user)s AND recorded_at > %(since)s GROUP BY 1, 2, 3
"""
TOUCHED_BEFORE = """
SELECT old.symbol, old.currency, old.fee_currency, min(old.executed_at) FROM exchange.fill new
JOIN exchange.fill old ON old.account_id = new.account_id AND old.fill_id = new.fill_id AND old.version = new.version - 1
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
JOIN exchange.fill old ON old.account_id = new.account_id AND old.fill_id = new.fill_id AND old.version = new.version - 1
WHERE new.user_id = %(user)s AND new.recorded_at > %(since)s AND new.version > 1
"""
TOUCHED_BY_PAIRS = """
SELECT f.symbol, f.currency, f.fee_currency, min(f.executed_at) FROM exchange.fill_pair p
JOIN exchange.fill f ON f.account_id = p.duplicate_account_id AND f.fill_id = p.duplicate_fill_id
WHERE p.user_id = %(user)s AND p.changed_at > %(since)s AND p.state <> 'proposed' GROUP BY 1, 2, 3
"""
NEW_PAIRS = "SELECT max(changed_at) FROM exchange.fill_pair WHERE user_id = %(user)s AND changed_at > %(since)s AND state <> 'proposed'"
DUPLICATE_DIGESTS = """
SELECT f.row_sha256 FROM exchange.fill_pair p
JOIN exchange.fill f ON f.account_id = p.duplicate_account_id AND f.fill_id = p.duplicate_fill_id
WHERE p.user_id = %s AND p.state = 'duplicate' AND f.symbol = ANY(%s)
"""
NEW_FILLS = """
SELECT count(*), min(fill_id) FROM (
    SELECT account_id, fill_id FROM exchange.fill WHERE user_id = %(user)s AND recorded_at > %(since)s
    UNION SELECT duplicate_account_id, duplicate_fill_id FROM exchange.fill_pair
    WHERE user_id = %(user)s AND changed_at > %(since)s AND state <> 'proposed'
) fills
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


def changes_since(connection: psycopg.Connection[Any], user_id: str, known_at: datetime | None) -> Changes:
    """Ask the ledger what it recorded of a user after ``known_at``, or at all."""
    bound = {"user": user_id, "since": known_at or BEGINNING}
    changes = Changes(known_at=known_at)
    rows, fills, newest = connection.execute(NEW, bound).fetchone() or (0, 0, None)
    changes.rows, changes.fills, changes.known_at = rows, fills, newest or known_at
    statements = [TOUCHED, TOUCHED_BEFORE, TOUCHED_BY_HALVES] if changes.rows else []
    ((paired_at,),) = connection.execute(NEW_PAIRS, bound).fetchall()
    if paired_at is not None:
        statements.append(TOUCHED_BY_PAIRS)
        changes.known_at = max(paired_at, changes.known_at or paired_at)
    for statement in statements:
        for *coins, at in connection.execute(statement, bound):
            changes.touch(coins, at)
    return changes


def digest_since(connection: psycopg.Connection[Any], user_id: str, known_at: datetime | None, without: Sequence[str] = ()) -> int:
    """Return what the fills recorded after ``known_at`` add to the sum of digests, those of some coins left out.

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


def duplicates_digest(connection: psycopg.Connection[Any], user_id: str, coins: Sequence[str]) -> int:
    """Return the sum of the digests of a user's duplicates of some coins, which a run knows and does not count."""
    return sum(int(digest, 16) for (digest,) in connection.execute(DUPLICATE_DIGESTS, (user_id, list(coins))))


def ledger_at(connection: psycopg.Connection[Any], user_id: str, known_at: datetime | None) -> tuple[int, int]:
    """Return how many fills the ledger holds that were known at a time, and the sum of their digests then."""
    bounds = (BEGINNING, known_at or BEGINNING)
    fills = [connection.execute(NEW, {"user": user_id, "since": since}).fetchone() or (0, 0, None) for since in bounds]
    digests = [digest_since(connection, user_id, since) for since in bounds]
    return fills[0][1] - fills[1][1], (digests[0] - digests[1]) % MODULUS


def fills_since(connection: psycopg.Connection[Any], user_id: str, known_at: datetime | None) -> tuple[int, str | None]:
    """Return how many fills were recorded, corrected or paired after a time, and the id of one of them."""
    return connection.execute(NEW_FILLS, {"user": user_id, "since": known_at or BEGINNING}).fetchone() or (0, None)
