"""Knowledge time: a query for what was known at a time always gives the same result.

A writer takes the writers' lock of a table *before* it stamps its rows and keeps it until its transaction ends (``omc.stamp`` does
both); stamps of a table increase in the order of the commits. So a reader of ``as_of=T`` must wait for exactly the transactions
that hold the lock once T is past: later writers get later stamps. All readers use ``await_known`` for that wait.

Each stamp is also the table's watermark (``omc.knowledge.closed_at``): it becomes visible together with its rows. A T up
to the watermark needs no wait. On a replica, where locks can't be seen, a reader can use only the watermark.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from omc_infra.errors import BadInputError, RetryableError

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection

PATIENCE_S = 5.0
"""How long a reader waits for writers, or for a replica to catch up."""
_FIRST_POLL_S, _LONGEST_POLL_S = 0.001, 0.05

# statement_timestamp() is older than the list of locks: who isn't listed stamps later than it.
_STATE = """
SELECT pg_is_in_recovery() AS is_replica, is_closed, current_setting('transaction_isolation') AS isolation,
    extract(epoch FROM %(at)s::timestamptz - statement_timestamp())::float8 AS ahead_s,
    CASE WHEN is_closed OR pg_is_in_recovery() THEN '{}' ELSE ARRAY(
        SELECT virtualtransaction || ' of process ' || pid FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (classid::bigint << 32 | objid::bigint)
                IN (SELECT hashtextextended('omc.append ' || name, 0) FROM unnest(%(tables)s::text[]) AS name)
    ) END AS writers
FROM (
    SELECT count(*) = cardinality(%(tables)s::text[]) AS is_closed FROM omc.knowledge
    WHERE table_name = ANY(%(tables)s::text[]) AND closed_at >= %(at)s::timestamptz
) AS watermark
"""
_ADVANCE = """
UPDATE omc.knowledge SET closed_at = greatest(closed_at, clock_timestamp())
WHERE pg_try_advisory_xact_lock(hashtextextended('omc.append ' || table_name, 0))
"""


def stamp(connection: psycopg.Connection[Any], table: str) -> datetime:
    """Take the writers' lock of a table until the transaction ends, and return ``recorded_at`` for the rows written under it.

    Args:
        connection: In a transaction of role writer. Take several tables in the order of their names.
        table: Schema and name.

    Returns:
        A time later than every earlier stamp of the table, even if the clock was set back.
    """
    row = connection.execute("SELECT omc.stamp(%s)", [table]).fetchone()
    if row is None:
        raise AssertionError(table)
    return row[0]  # type: ignore[no-any-return]


def await_known(connection: Connection, tables: Sequence[str], at: datetime, patience_s: float = PATIENCE_S) -> bool:
    """Wait until all rows recorded up to ``at`` are committed.

    After that, every later snapshot gives the same result for ``at``.

    Args:
        connection: Of any role, READ COMMITTED: each of its statements takes a snapshot of its own, so the next one may read.
        tables: Schema and name of what will be read.
        at: Knowledge time, aware.
        patience_s: Longest wait: for writers, for ``at`` to be past, or for a replica's watermark.

    Returns:
        Whether the answer holds for later connections as well; not on a replica, where the next one may lead to another replica.

    Raises:
        RetryableError: A writer held a table for longer, or a replica did not get that far.
        BadInputError: ``at`` lies in the future, or the transaction keeps an older snapshot.
    """
    deadline = time.monotonic() + patience_s
    poll_s, waited_for = _FIRST_POLL_S, None
    while True:
        state = _state(connection, tables, at)
        if state.is_closed:
            return not state.is_replica
        if state.isolation != "read committed":
            raise BadInputError(f"as_of needs a READ COMMITTED transaction, but this one is {state.isolation.upper()}")
        if state.ahead_s > patience_s:
            raise BadInputError(f"as_of {at.isoformat()} is {state.ahead_s:.1f} s in the future of the database's clock")
        if not state.is_replica and state.ahead_s < 0:
            waited_for = set(state.writers) if waited_for is None else waited_for & set(state.writers)
            if not waited_for:
                return True
        if time.monotonic() > deadline:
            raise RetryableError(f"{', '.join(tables)} as of {at.isoformat()}: after {patience_s:g} s {_reason(state, waited_for)}")
        time.sleep(max(poll_s, min(state.ahead_s, _LONGEST_POLL_S)))
        poll_s = min(poll_s * 1.5, _LONGEST_POLL_S)


def advance_watermarks(connection: psycopg.Connection[Any]) -> None:
    """Move the watermark of every table without a current writer, so that replicas know up to when their rows are complete; never waits.

    Args:
        connection: Of role writer, outside a transaction: one of its own is begun and ended.
    """
    with connection.transaction():
        connection.execute(_ADVANCE)


def guard_table(table: str) -> tuple[str, ...]:
    """Return the statements with which a migration adds knowledge time to a table that has a column ``recorded_at``."""
    return (
        f"CREATE TRIGGER hold_writers_lock BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION omc.hold_writers_lock()",
        f"INSERT INTO omc.knowledge SELECT '{table}', greatest(max(recorded_at), clock_timestamp()) FROM {table}",
    )


@dataclass(frozen=True)
class _State:
    is_replica: bool
    is_closed: bool
    isolation: str
    ahead_s: float
    writers: Sequence[str]


def _state(connection: Connection, tables: Sequence[str], at: datetime) -> _State:
    return _State(*connection.exec_driver_sql(_STATE, {"tables": list(tables), "at": at}).one())


def _reason(state: _State, writers: set[str] | None) -> str:
    if state.is_replica:
        return "this replica isn't complete up to then"
    return f"still being written, by transaction {', '.join(sorted(writers))}" if writers else "that time isn't past"
