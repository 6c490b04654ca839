"""How PostgreSQL is to plan questions over all rows of many positions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg


@contextmanager
def for_many_rows(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Plan without nested loops within the block, which lies in a transaction.

    Just after a backfill the tables have no statistics yet, and only their owner may make some: the planner takes millions of rows
    for a few and joins them in a nested loop. Checking 10 million fills then took more than seven minutes instead of nine seconds.
    """
    connection.execute("SET LOCAL enable_nestloop = off")
    yield
    connection.execute("SET LOCAL enable_nestloop = on")
