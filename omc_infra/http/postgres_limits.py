"""Limits counted over all processes of a database: one row of ``omc.host_group`` a group, one statement a request.

A request reserves its turn by moving the row's ``free_at`` on and then sleeps until the turn comes, so nobody holds a lock while it
waits and turns are given in the order they were asked for. A process that is killed in its sleep wastes its turn. The time is the
server's ``clock_timestamp()``, so the machines' clocks don't matter; ``now()`` would be the start of the transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from omc_infra.http.limits import RateLimit, refuse_banned, refuse_quota, refuse_turn

if TYPE_CHECKING:
    import psycopg

# Losing the last turns in a crash of the server harms nobody, and waiting for the disk with each request costs a millisecond.
_RESERVE = """
UPDATE omc.host_group SET
    free_at = greatest(free_at, banned_until, clock_timestamp() - %(slack)s) + %(gap)s,
    quota_used = CASE WHEN quota_from + %(window)s > clock_timestamp() THEN quota_used + 1 ELSE 1 END,
    quota_from = CASE WHEN quota_from + %(window)s > clock_timestamp() THEN quota_from ELSE clock_timestamp() END
WHERE name = %(group)s AND set_config('synchronous_commit', 'off', true) IS NOT NULL
    AND greatest(free_at, banned_until) <= clock_timestamp() + %(patience)s
    AND (quota_used < %(most)s OR quota_from + %(window)s <= clock_timestamp())
RETURNING extract(epoch FROM free_at - %(gap)s - clock_timestamp())::float8
"""
_WHY_NOT = """
SELECT extract(epoch FROM banned_until - clock_timestamp())::float8, ban_reason,
    extract(epoch FROM quota_from + %(window)s - clock_timestamp())::float8, quota_used >= %(most)s,
    extract(epoch FROM free_at - clock_timestamp())::float8
FROM omc.host_group WHERE name = %(group)s
"""
_BAN = """
INSERT INTO omc.host_group AS known (name, banned_until, ban_reason) VALUES (%(group)s, clock_timestamp() + %(seconds)s, %(reason)s)
ON CONFLICT (name) DO UPDATE SET banned_until = EXCLUDED.banned_until, ban_reason = EXCLUDED.ban_reason
WHERE known.banned_until < EXCLUDED.banned_until
"""
_NO_QUOTA = 2**62


class PostgresLimits:
    """``Limits`` in a table of PostgreSQL; each call is one statement and a transaction of its own.

    Args:
        connection: Of role writer, and not inside a transaction when a method is called.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def reserve(self, rate_limit: RateLimit, patience_s: float) -> float:
        """See ``Limits``."""
        bound = _bound(rate_limit, patience_s)
        with _alone(self._connection) as connection:
            while (row := connection.execute(_RESERVE, bound).fetchone()) is None:
                _refuse(connection, rate_limit, patience_s, bound)  # or go on: the row was missing, or what was in the way is gone by now
            return max(0.0, float(row[0]))

    def banned_s(self, group: str) -> float:
        """See ``Limits``."""
        with _alone(self._connection) as connection:
            row = connection.execute(
                "SELECT extract(epoch FROM banned_until - clock_timestamp())::float8 FROM omc.host_group WHERE name = %s", [group]
            ).fetchone()
        return max(0.0, float(row[0])) if row else 0.0

    def ban(self, group: str, seconds: float, reason: str) -> None:
        """See ``Limits``."""
        with _alone(self._connection) as connection:
            connection.execute(_BAN, {"group": group, "seconds": timedelta(seconds=seconds), "reason": reason})

    def lift(self, group: str) -> bool:
        """End a ban before its time; tell whether there was one."""
        statement = "UPDATE omc.host_group SET banned_until = 'epoch' WHERE name = %s AND banned_until > clock_timestamp()"
        with _alone(self._connection) as connection:
            return connection.execute(statement, [group]).rowcount > 0


def _bound(rate_limit: RateLimit, patience_s: float) -> dict[str, object]:
    gap = timedelta(seconds=rate_limit.gap_s)
    return {
        "group": rate_limit.group,
        "gap": gap,
        "slack": gap * (rate_limit.burst - 1),
        "patience": timedelta(seconds=patience_s),
        "window": timedelta(seconds=rate_limit.quota.window_s if rate_limit.quota else 0),
        "most": rate_limit.quota.requests if rate_limit.quota else _NO_QUOTA,
    }


def _refuse(connection: psycopg.Connection[Any], rate_limit: RateLimit, patience_s: float, bound: Mapping[str, object]) -> None:
    """Raise what keeps a request from its turn; add the group where it is new."""
    row = connection.execute(_WHY_NOT, bound).fetchone()
    if row is None:
        connection.execute("INSERT INTO omc.host_group (name) VALUES (%s) ON CONFLICT DO NOTHING", [rate_limit.group])
        return
    banned_s, reason, renewed_s, is_used_up, free_s = row
    if banned_s > patience_s:
        refuse_banned(rate_limit.group, banned_s, reason)
    if is_used_up and renewed_s > 0:
        refuse_quota(rate_limit, renewed_s)
    if free_s > patience_s:
        refuse_turn(rate_limit, free_s)


@contextmanager
def _alone(connection: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """Run statements that commit themselves: no row stays locked should this process be stopped between two of them."""
    kept = connection.autocommit
    connection.autocommit = True
    try:
        yield connection
    finally:
        connection.autocommit = kept
