"""Whose positions there are to compute; found by the ends of indexes, however many fills there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omc_pipeline.positions.basis import RULES, Basis
from omc_pipeline.positions.exceptions import FOR_INFORMATION, UNSETTLED, KeptException

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

USERS = """
WITH RECURSIVE known AS (
    (SELECT user_id FROM exchange.fill ORDER BY user_id LIMIT 1)
    UNION ALL
    SELECT (SELECT next.user_id FROM exchange.fill next WHERE next.user_id > known.user_id ORDER BY next.user_id LIMIT 1) FROM known
    WHERE known.user_id IS NOT NULL
)
SELECT user_id FROM known WHERE user_id IS NOT NULL
"""
STALE = f"""
SELECT u.user_id FROM ({USERS}) u
LEFT JOIN LATERAL (SELECT * FROM pnl.run WHERE user_id = u.user_id AND method = %(method)s ORDER BY run_id DESC LIMIT 1) r ON true
WHERE r.run_id IS NULL OR r.rules <> %(rules)s
    OR (r.fee_policy, r.oversell_policy, r.lot_policy, r.currency) <> (%(fee)s, %(oversell)s, %(lots)s, %(currency)s)
    OR EXISTS (SELECT FROM exchange.fill f WHERE f.user_id = u.user_id AND (r.known_at IS NULL OR f.recorded_at > r.known_at))
    OR EXISTS (SELECT FROM pnl.exception e WHERE e.user_id = u.user_id AND e.method = %(method)s AND e.cleared_at IS NULL
        AND e.fill_id IS NOT NULL AND e.kind = ANY(%(unsettled)s))
"""
COMPUTED = "SELECT DISTINCT user_id FROM pnl.position WHERE method = %s AND trades > 0 ORDER BY 1"
RED = """
SELECT exception_id, kind, symbol, fill_id, qty, message, occurred_at, recorded_at, resolved_by, resolved_at, reason FROM pnl.exception
WHERE user_id = ANY(%s) AND method = %s AND cleared_at IS NULL AND resolved_at IS NULL AND kind <> ALL(%s) ORDER BY exception_id LIMIT %s
"""


def users_with_fills(database: Database) -> list[str]:
    """Answer all users who have fills, in order."""
    with database.connect("reader") as connection:
        return [user for (user,) in connection.execute(USERS)]


def stale_users(database: Database, basis: Basis | None = None) -> list[str]:
    """Answer the users whose last run does not know all their fills, went by another basis, or waits for a rate."""
    by = basis or Basis()
    bound = {
        "method": by.method, "rules": RULES, "fee": by.fee_policy, "oversell": by.oversell_policy, "lots": by.lot_policy,
        "currency": by.currency, "unsettled": sorted(UNSETTLED),
    }  # fmt: skip
    with database.connect("reader") as connection:
        return [user for (user,) in connection.execute(STALE, bound)]


def users_with_positions(database: Database, method: str = "fifo") -> list[str]:
    """Answer the users who have positions by a method, in order."""
    with database.connect("reader") as connection:
        return [user for (user,) in connection.execute(COMPUTED, (method,))]


def red_exceptions(database: Database, users: list[str], method: str = "fifo", limit: int = 20) -> list[KeptException]:
    """Answer the oldest open exceptions of some users that need a person."""
    with database.connect("reader") as connection:
        rows = connection.execute(RED, (users, method, sorted(FOR_INFORMATION), limit))
        return [KeptException(*row) for row in rows]
