"""Whose positions there are to compute; found by the ends of indexes, however many fills there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omc_pipeline.pnl.policy import Method
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
WITH chosen AS (SELECT DISTINCT ON (user_id, method) * FROM pnl.run ORDER BY user_id, method, run_id DESC)
SELECT u.user_id, r.method, r.fee_policy, r.oversell_policy, r.lot_policy, r.currency FROM ({USERS}) u LEFT JOIN chosen r USING (user_id)
WHERE NOT EXISTS (SELECT FROM exchange.account a WHERE a.user_id = u.user_id AND a.held_at IS NOT NULL AND a.state <> 'removed')
AND (r.run_id IS NULL OR r.rules <> %(rules)s
    OR EXISTS (SELECT FROM exchange.fill f WHERE f.user_id = u.user_id AND (r.known_at IS NULL OR f.recorded_at > r.known_at))
    OR EXISTS (SELECT FROM exchange.fill_pair p WHERE p.user_id = u.user_id AND p.state <> 'proposed' AND p.changed_at > r.known_at)
    OR EXISTS (SELECT FROM pnl.exception e WHERE e.user_id = u.user_id AND e.method = r.method AND e.cleared_at IS NULL
        AND e.fill_id IS NOT NULL AND e.kind = ANY(%(unsettled)s)))
ORDER BY u.user_id, r.method
"""
COMPUTED = "SELECT DISTINCT user_id, method FROM pnl.position WHERE trades > 0 ORDER BY 1, 2"
RED = """
SELECT exception_id, kind, symbol, fill_id, qty, message, occurred_at, recorded_at, resolved_by, resolved_at, reason FROM pnl.exception
WHERE user_id = ANY(%s) AND cleared_at IS NULL AND resolved_at IS NULL AND kind <> ALL(%s) ORDER BY exception_id LIMIT %s
"""


def users_with_fills(database: Database) -> list[str]:
    """Answer all users who have fills, in order."""
    with database.connect("reader") as connection:
        return [user for (user,) in connection.execute(USERS)]


def stale_users(database: Database) -> list[tuple[str, Basis]]:
    """Answer whom to compute, and by what.

    Each method that a user was ever computed by, with its latest policies, where the last run does not know all fills or waits
    for a rate; and who never was computed, by the usual basis. Not users with an account that is held.
    """
    with database.connect("reader") as connection:
        rows = connection.execute(STALE, {"rules": RULES, "unsettled": sorted(UNSETTLED)}).fetchall()
    return [(user, Basis() if basis[0] is None else Basis(*basis)) for user, *basis in rows]


def users_with_positions(database: Database) -> list[tuple[str, Method]]:
    """Answer the users who have positions, in order, with each method they have some by."""
    with database.connect("reader") as connection:
        return connection.execute(COMPUTED).fetchall()


def red_exceptions(database: Database, users: list[str], limit: int = 20) -> list[KeptException]:
    """Answer the oldest open exceptions of some users that need a person."""
    with database.connect("reader") as connection:
        return [KeptException(*row) for row in connection.execute(RED, (users, sorted(FOR_INFORMATION), limit))]
