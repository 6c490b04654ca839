"""Who works on what: advisory locks of PostgreSQL, each on a connection of its own, so that a killed process lets go at once.

They are taken as role dagster, which every run has: role agent may take none, for it could stop others' work.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from uuid import UUID

from psycopg import OperationalError

from omc_infra.postgres.database import Database

_KEY = "hashtextextended(%s, 0)"


@contextmanager
def session_lock(database: Database, session_id: str) -> Iterator[bool]:
    """Hold the right to work on one session; yields False where another process holds it."""
    with _lock(database, f"agents.session/{session_id}") as held:
        yield held


@contextmanager
def batch_lock(database: Database, batch_id: UUID) -> Iterator[bool]:
    """Show that a run of this batch is alive; yields False where another run shows it already."""
    with _lock(database, f"agents.batch/{batch_id}") as held:
        yield held


def is_batch_alive(database: Database, batch_id: UUID) -> bool:
    """Whether some process holds the batch's lock."""
    with batch_lock(database, batch_id) as held:
        return not held


@contextmanager
def _lock(database: Database, name: str) -> Iterator[bool]:
    with closing(database.connect("dagster")) as connection:
        connection.autocommit = True
        row = connection.execute(f"SELECT pg_try_advisory_lock({_KEY})", (name,)).fetchone()
        held = bool(row and row[0])
        try:
            yield held
        finally:
            if held and not connection.broken:  # closing alone lets go a moment later, and the next would find it held
                with suppress(OperationalError):
                    connection.execute(f"SELECT pg_advisory_unlock({_KEY})", (name,))
