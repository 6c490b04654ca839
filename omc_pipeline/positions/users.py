"""Whose positions there are to compute; found by the ends of indexes, however many fills there are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from psycopg import sql

from omc_pipeline.pnl.policy import FeePolicy, LotPolicy, Method, OversellPolicy
from omc_pipeline.positions.basis import RULES, Basis
from omc_pipeline.positions.exceptions import FOR_INFORMATION, UNSETTLED, KeptException
from omc_pipeline.positions.reporting import EVERYBODY, UK_ZONES, day_zone

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
WITH wanted AS (
    SELECT u.user_id, r.currency, r.tax_zone FROM ({USERS}) u JOIN pnl.reporting r ON r.user_id = CASE
        WHEN EXISTS (SELECT FROM pnl.reporting own WHERE own.user_id = u.user_id) THEN u.user_id ELSE %(everybody)s END
), chosen AS (SELECT DISTINCT ON (user_id, method, currency) * FROM pnl.run ORDER BY user_id, method, currency, run_id DESC)
SELECT w.user_id, w.tax_zone, coalesce(r.method, 'fifo'), r.fee_policy, r.oversell_policy, r.lot_policy, w.currency
FROM wanted w LEFT JOIN chosen r USING (user_id, currency)
WHERE NOT EXISTS (SELECT FROM exchange.account a WHERE a.user_id = w.user_id AND a.held_at IS NOT NULL AND a.state <> 'removed')
AND (r.run_id IS NULL OR r.rules <> %(rules)s
    OR r.day_zone <> CASE WHEN r.method = 'uk' AND w.tax_zone = ANY(%(uk_zones)s) THEN w.tax_zone ELSE 'UTC' END
    OR EXISTS (SELECT FROM exchange.fill f WHERE f.user_id = w.user_id AND (r.known_at IS NULL OR f.recorded_at > r.known_at))
    OR EXISTS (SELECT FROM exchange.fill_pair p WHERE p.user_id = w.user_id AND p.state <> 'proposed' AND p.changed_at > r.known_at)
    OR EXISTS (SELECT FROM pnl.exception e WHERE e.user_id = w.user_id AND e.method = r.method AND e.currency = w.currency
        AND e.cleared_at IS NULL AND e.fill_id IS NOT NULL AND e.kind = ANY(%(unsettled)s)))
ORDER BY w.user_id, r.method, w.currency
"""
COMPUTED = """
SELECT DISTINCT p.user_id, p.method, p.currency FROM pnl.position p JOIN pnl.reporting r ON r.currency = p.currency AND r.user_id = CASE
    WHEN EXISTS (SELECT FROM pnl.reporting own WHERE own.user_id = p.user_id) THEN p.user_id ELSE %s END
WHERE p.trades > 0 ORDER BY 1, 2, 3
"""
RED = """
SELECT exception_id, kind, symbol, fill_id, qty, message, occurred_at, recorded_at, resolved_by, resolved_at, reason FROM pnl.exception
WHERE user_id = ANY(%s) AND cleared_at IS NULL AND resolved_at IS NULL AND kind <> ALL(%s) ORDER BY exception_id LIMIT %s
"""


class Kind(NamedTuple):
    """What tells a user's positions apart: by which method, in which currency."""

    method: Method
    currency: str


def users_with_fills(database: Database) -> list[str]:
    """Return all users who have fills, in order."""
    with database.connect("reader") as connection:
        return [user for (user,) in connection.execute(USERS)]


def count_rows(database: Database, table: Literal["position", "snapshot"], users: Collection[str]) -> int:
    """Return how many rows of a table of schema ``pnl`` some users have."""
    with database.connect("reader") as connection:
        row = connection.execute(
            sql.SQL("SELECT count(*) FROM {} WHERE user_id = ANY(%s)").format(sql.Identifier("pnl", table)), [sorted(set(users))]
        ).fetchone()
    return int(row[0]) if row else 0


def stale_users(database: Database) -> list[tuple[str, Basis]]:
    """Return whom to compute, and by what.

    In each currency that a user reports in: every method that the user was ever computed by in it, with its latest policies, where
    the last run does not know all fills, waits for a rate or goes by other days; and the usual basis where there was no run. Not
    users with an account that is held.
    """
    bound = {"rules": RULES, "unsettled": sorted(UNSETTLED), "everybody": EVERYBODY, "uk_zones": list(UK_ZONES)}
    with database.connect("reader") as connection:
        rows = connection.execute(STALE, bound).fetchall()
    return [(user, _basis(*rest)) for user, *rest in rows]


def _basis(
    tax_zone: str, method: Method, fees: FeePolicy | None, oversell: OversellPolicy | None, lots: LotPolicy | None, currency: str
) -> Basis:
    usual = Basis(method, currency=currency, day_zone=day_zone(method, tax_zone))
    if fees is None or oversell is None or lots is None:
        return usual
    return replace(usual, fee_policy=fees, oversell_policy=oversell, lot_policy=lots)


def users_with_positions(database: Database) -> list[tuple[str, Kind]]:
    """Return the users who have positions in a currency that they report in, in order, with each method and currency."""
    with database.connect("reader") as connection:
        return [(user, Kind(method, currency)) for user, method, currency in connection.execute(COMPUTED, (EVERYBODY,))]


def red_exceptions(database: Database, users: list[str], limit: int = 20) -> list[KeptException]:
    """Return the oldest open exceptions of some users that need a person."""
    with database.connect("reader") as connection:
        return [KeptException(*row) for row in connection.execute(RED, (users, sorted(FOR_INFORMATION), limit))]
