"""Cancel statements that exceed the time limit of their role.

PostgreSQL lets a login role change its own ``statement_timeout``, so the setting alone holds nobody who can run SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from omc_infra.errors import DatabaseUnavailableError
from omc_infra.postgres.roles import role_name

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

_MARGIN_S = 2.0
"""PostgreSQL's own timeout comes first; it is kinder, for it needs no other process."""
_CANCEL_S = 5.0
_OVERDUE = """
SELECT a.pid, a.usename, extract(epoch FROM clock_timestamp() - a.query_start)::float8,
    CASE WHEN clock_timestamp() - a.query_start > (l.limit_s + %(cancel)s) * interval '1 second'
        THEN pg_terminate_backend(a.pid) ELSE pg_cancel_backend(a.pid) END
FROM pg_stat_activity AS a JOIN unnest(%(roles)s::text[], %(limits)s::float8[]) AS l (role, limit_s) ON l.role = a.usename
WHERE a.datname = current_database() AND a.state IN ('active', 'fastpath function call') AND a.pid <> pg_backend_pid()
AND clock_timestamp() - a.query_start > l.limit_s * interval '1 second'
"""


@dataclass(frozen=True)
class Overdue:
    """A statement that was ended: whose, by which server process, and how long it had run."""

    role: str
    pid: int
    seconds: float


class Watchdog:
    """Looks for statements beyond their limit; call ``tick`` every second or so.

    A statement is canceled, and its connection ended where it goes on. Holds one connection, opened by the first tick.

    Args:
        connect: Open a connection that may signal the roles' processes: the administrator's.
        limits_s: Seconds by plain name of a role.
        cancel_s: Seconds that a statement has to obey a cancellation before its connection is ended.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], limits_s: Mapping[str, float], cancel_s: float = _CANCEL_S) -> None:
        self._connect, self._limits_s, self._cancel_s = connect, dict(limits_s), cancel_s
        self._connection: psycopg.Connection[Any] | None = None

    @classmethod
    def of(cls, database: Database) -> Watchdog:
        """Return the watchdog of a database that is open with the administrator's access."""
        limits = {role_name(database.name, role): seconds + _MARGIN_S for role, seconds in database.limits_s.items()}
        return cls(database.address.administer, limits)

    def tick(self) -> list[Overdue]:
        """End what is overdue and return it; empty while the server doesn't answer."""
        bound = {"roles": list(self._limits_s), "limits": list(self._limits_s.values()), "cancel": self._cancel_s}
        try:
            if self._connection is None:
                self._connection = self._connect()
                self._connection.autocommit = True
            rows = self._connection.execute(_OVERDUE, bound).fetchall()
        except (psycopg.OperationalError, DatabaseUnavailableError):
            self.close()
            return []
        return [Overdue(role, pid, round(seconds, 1)) for pid, role, seconds, _ in rows]

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
