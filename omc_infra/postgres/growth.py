"""Size and growth of every table of the database, with a projection for thirty days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from omc_infra.postgres.database import Database
from omc_infra.postgres.roles import role_name

COUNTED_UP_TO_BYTES = 64 * 1024 * 1024
"""Rows of a table with more than this are the planner's estimate; counting them would take seconds."""
PROJECTED_DAYS = 30
_YESTERDAY = timedelta(hours=20)
"""Least age of the measurement that today's is compared with; a daily run may be late one day and early the next."""
_LONGEST_BASE = timedelta(days=7, hours=1)
_SHORTEST_BASE = timedelta(hours=6)
_DAY_S = 86_400

_CATALOG = """
SELECT n.nspname, c.relname, sum(pg_relation_size(leaf.oid))::bigint, sum(pg_total_relation_size(leaf.oid))::bigint,
    sum(CASE WHEN leaf.relpages > 0
        THEN leaf.reltuples * (pg_relation_size(leaf.oid) / current_setting('block_size')::float8) / leaf.relpages ELSE 0 END)::bigint,
    CASE WHEN has_schema_privilege(%(reader)s, n.oid, 'USAGE') AND has_table_privilege(%(reader)s, c.oid, 'SELECT') THEN 'reader'
        WHEN has_schema_privilege(%(dagster)s, n.oid, 'USAGE') AND has_table_privilege(%(dagster)s, c.oid, 'SELECT') THEN 'dagster' END
FROM pg_class AS leaf JOIN pg_class AS c ON c.oid = coalesce(pg_partition_root(leaf.oid), leaf.oid)
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE leaf.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%%'
GROUP BY n.nspname, n.oid, c.relname, c.oid ORDER BY n.nspname, c.relname
"""
_HISTORY = "SELECT measured_at, sum(size_bytes)::bigint FROM omc.table_size WHERE measured_at <= %s GROUP BY 1 ORDER BY 1 DESC LIMIT 90"
_MOMENTS = """
SELECT max(measured_at) FILTER (WHERE measured_at <= %s), min(measured_at) FILTER (WHERE measured_at BETWEEN %s AND %s) FROM omc.table_size
"""


@dataclass(frozen=True)
class TableSize:
    """One table with its indexes; partitions count as their parent. ``is_exact``: its rows were counted."""

    schema: str
    table: str
    size_bytes: int
    rows: int
    is_exact: bool = True


@dataclass(frozen=True)
class TableGrowth:
    """One table now, what it gained since ``Growth.since``, and what it will gain in thirty days; None: nothing to compare with."""

    now: TableSize
    grown_bytes: int | None
    grown_rows: int | None
    projected_bytes: int | None


@dataclass(frozen=True)
class Growth:
    """A measurement beside an earlier one.

    Attributes:
        measured_at: When.
        since: The measurement about a day before, or None where there is none.
        tables: By schema and name; tables that were dropped are left out.
        history: Moment and bytes of all tables together of the last measurements, oldest first, this one included.
    """

    measured_at: datetime
    since: datetime | None
    tables: Sequence[TableGrowth]
    history: Sequence[tuple[datetime, int]]

    @property
    def size_bytes(self) -> int:
        """All tables together."""
        return sum(table.now.size_bytes for table in self.tables)

    @property
    def grown_bytes(self) -> int | None:
        """What all tables gained since ``since``."""
        return _total([table.grown_bytes for table in self.tables])

    @property
    def projected_bytes(self) -> int | None:
        """What all tables will gain in thirty days, or None before six hours have been measured."""
        return _total([table.projected_bytes for table in self.tables])


def measure_growth(database: Database, now: datetime) -> Growth:
    """Measure every table, keep the measurement, and compare it with yesterday's and with last week's.

    Args:
        database: Which to measure.
        now: Under which the measurement is kept, aware.
    """
    sizes = table_sizes(database)
    with database.connect("writer") as connection:
        connection.cursor().executemany(
            "INSERT INTO omc.table_size (measured_at, schema_name, table_name, size_bytes, rows, is_exact) VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [(now, size.schema, size.table, size.size_bytes, size.rows, size.is_exact) for size in sizes],
        )
    with database.connect("reader") as connection:
        return _compared(connection, now, sizes)


def table_sizes(database: Database, counted_up_to_bytes: int = COUNTED_UP_TO_BYTES) -> list[TableSize]:
    """Return every table outside PostgreSQL's own schemas, in order of schema and name.

    Args:
        database: Which to measure.
        counted_up_to_bytes: Size without indexes up to which rows are counted.
    """
    names = {role: role_name(database.address.database, role) for role in ("reader", "dagster")}
    with database.connect("reader") as reader, database.connect("dagster") as dagster:
        connections = {"reader": reader, "dagster": dagster}
        return [
            _measured(row, connections.get(may_count) if row[2] <= counted_up_to_bytes else None)
            for *row, may_count in reader.execute(_CATALOG, names).fetchall()
        ]


def _measured(row: Sequence[Any], counts: psycopg.Connection[Any] | None) -> TableSize:
    schema, table, _, size_bytes, estimate = row
    if counts is None:
        return TableSize(schema, table, size_bytes, max(0, estimate), is_exact=False)
    counted = counts.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))).fetchone()
    return TableSize(schema, table, size_bytes, int(counted[0]) if counted else 0)


def _compared(connection: psycopg.Connection[Any], now: datetime, sizes: Sequence[TableSize]) -> Growth:
    since, base = connection.execute(_MOMENTS, [now - _YESTERDAY, now - _LONGEST_BASE, now - _SHORTEST_BASE]).fetchone() or (None, None)
    before, earlier = _sizes_at(connection, since), _sizes_at(connection, base)
    days = (now - base).total_seconds() / _DAY_S if base else 0.0

    def grown(size: TableSize) -> TableGrowth:
        name = size.schema, size.table
        was_bytes, was_rows = before.get(name, (0, 0))
        gained = size.size_bytes - earlier.get(name, (0, 0))[0]
        return TableGrowth(
            size,
            size.size_bytes - was_bytes if since else None,
            size.rows - was_rows if since else None,
            round(gained / days * PROJECTED_DAYS) if base else None,
        )

    return Growth(now, since, [grown(size) for size in sizes], connection.execute(_HISTORY, [now]).fetchall()[::-1])


def _sizes_at(connection: psycopg.Connection[Any], moment: datetime | None) -> dict[tuple[str, str], tuple[int, int]]:
    rows = connection.execute("SELECT schema_name, table_name, size_bytes, rows FROM omc.table_size WHERE measured_at = %s", [moment])
    return {(schema, table): (size_bytes, count) for schema, table, size_bytes, count in rows}


def _total(parts: Sequence[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
