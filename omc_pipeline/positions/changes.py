"""What the ledger has learned of a user since a run: which coins are touched, from when on, and what it knows now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from omc_pipeline.positions.fills import BEGINNING, Key, sources

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
DIGESTS = "SELECT row_sha256, version, recorded_at FROM exchange.fill WHERE user_id = %(user)s AND recorded_at > %(since)s"
REPLACED_DIGESTS = """
SELECT old.row_sha256 FROM exchange.fill new
JOIN exchange.fill old ON old.source = new.source AND old.fill_id = new.fill_id AND old.version = new.version - 1
WHERE new.user_id = %(user)s AND new.recorded_at > %(since)s AND new.version > 1
"""
TOLD_TWICE = """
SELECT DISTINCT ON (late.source, late.fill_id) late.source, late.fill_id, late.symbol, late.executed_at, first.source
FROM exchange.fill late JOIN exchange.fill first ON first.fill_id = late.fill_id AND first.source = ANY(%(sources)s)
    AND first.source <> late.source AND first.version = 1 AND first.user_id = late.user_id AND first.account_id = late.account_id
    AND (first.recorded_at, first.source) < (late.recorded_at, late.source)
WHERE late.user_id = %(user)s AND late.recorded_at > %(since)s AND late.version = 1
ORDER BY late.source, late.fill_id, first.source
"""
MODULUS = 1 << 256


@dataclass(slots=True)
class Changes:
    """``since`` says from when on a coin's fills may have changed; ``digest`` and ``fills`` are what the change adds to a run's."""

    since: dict[str, datetime] = field(default_factory=dict)
    rows: int = 0
    fills: int = 0
    digest: int = 0
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
    with connection.cursor(name="digests") as cursor:
        cursor.itersize = 100_000
        for digest, version, recorded_at in cursor.execute(DIGESTS, bound):
            changes.rows += 1
            changes.fills += version == 1
            changes.digest += int(digest, 16)
            changes.known_at = recorded_at if changes.known_at is None else max(changes.known_at, recorded_at)
    if changes.rows:
        changes.digest -= sum(int(digest, 16) for (digest,) in connection.execute(REPLACED_DIGESTS, bound))
        for statement in (TOUCHED, TOUCHED_BEFORE, TOUCHED_BY_HALVES):
            for *coins, at in connection.execute(statement, bound):
                changes.touch(coins, at)
    return changes


def duplicates_since(connection: psycopg.Connection[Any], user_id: str, known_at: datetime | None) -> Sequence[Duplicate]:
    """Answer the fills recorded after ``known_at`` that another source had told of the same account, by the same id."""
    told_by = sources(connection)
    if len(told_by) < 2:
        return ()
    rows = connection.execute(TOLD_TWICE, {"user": user_id, "since": known_at or BEGINNING, "sources": told_by})
    return [Duplicate((source, fill_id), *rest) for source, fill_id, *rest in rows]
