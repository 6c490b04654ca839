"""Write the days of the ledgers to the lake, compare each file with its rows, and remember what was written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import psycopg
from psycopg import sql

from omc_infra.clock import utc_now
from omc_infra.errors import BadInputError, DatabaseUnavailableError, RetryableError
from omc_infra.objects import Objects, StorageConfig, in_folder, in_s3
from omc_infra.settings import Settings
from omc_pipeline.lake.facts import Facts, bounds, facts_of_file, facts_of_rows
from omc_pipeline.lake.schema import Column, arrow_schema, columns_of, file_of
from omc_pipeline.ledgers import catalyst, exchange, glass, human
from omc_pipeline.ledgers.knowledge import await_known
from omc_pipeline.ledgers.table import LedgerTable

if TYPE_CHECKING:
    import pyarrow as pa

    from omc_infra.postgres.database import Database

TABLES: tuple[LedgerTable, ...] = (*glass.TABLES, *human.TABLES, *catalyst.TABLES, *exchange.TABLES)
_ROWS_A_GROUP = 50_000
_DAYS = """
SELECT DISTINCT (recorded_at AT TIME ZONE 'UTC')::date FROM {} WHERE recorded_at >= %s AND recorded_at < %s ORDER BY 1
"""
_EDGES = "SELECT min(recorded_at), max(recorded_at) FROM {}"
_KNOWN = "SELECT day, checksum, is_stale FROM lake.export WHERE place = %s AND ledger = %s AND table_name = %s"
_NOTE = """
INSERT INTO lake.export (place, ledger, table_name, day, rows, size_bytes, checksum) VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (place, ledger, table_name, day) DO UPDATE SET rows = EXCLUDED.rows, size_bytes = EXCLUDED.size_bytes,
    checksum = EXCLUDED.checksum, is_stale = false, exported_at = clock_timestamp()
"""

Read = Callable[[psycopg.Connection[Any], LedgerTable, list[Column], date], "Iterator[pa.RecordBatch]"]
"""Read the rows of a table that were recorded on a day, in batches of the file's schema."""
What = Literal["written", "unchanged", "deleted"]


@dataclass(frozen=True)
class Exported:
    """What became of one table and day.

    Attributes:
        table: Qualified name.
        day: Of recording, UTC.
        what: Whether a file was written, was as it should be, or was deleted because no row is left.
        rows: Rows of the day.
        size_bytes: Size of the file that was written.
    """

    table: str
    day: date
    what: What
    rows: int
    size_bytes: int = 0


def lake_objects(config: StorageConfig, settings: Settings) -> Objects:
    """Return where the lake is.

    Raises:
        BadInputError: It is switched off.
    """
    if config.lake == "off":
        raise BadInputError('the lake is off: set `lake = "folder"` or "s3" in section `storage` of omc.toml')
    if config.lake == "s3":
        return in_s3(config, settings, "lake")
    return in_folder(Path(config.lake_folder).expanduser() if config.lake_folder else settings.home / "lake")


def export_days(
    database: Database, objects: Objects, first: date | None, last: date, tables: Sequence[LedgerTable] = TABLES, read: Read | None = None
) -> Iterator[Exported]:
    """Write the days from first to last, and any other whose file is stale; a file that agrees with its rows is left as it is.

    Args:
        database: Where the rows are.
        objects: Where files go.
        first: Day of recording; None: of the first row.
        last: Day of recording; one that isn't over is written again later.
        tables: Which.
        read: Reads the rows of a day in batches; None: ``row_batches``.

    Raises:
        RetryableError: A file doesn't agree with its rows; the one that was there before is still there.
        OmcError: The database's, the disk's or the store's failure; what was written before it stays.
    """
    for table in tables:
        _await_all(database, table, last)
        known = _known(database, objects, table)
        stale = [day for day, (_, is_stale) in known.items() if is_stale]
        for day in sorted({*_days(database, table, first, last), *stale, *(d for d in known if (first or d) <= d <= last)}):
            yield _exported(database, objects, table, day, known.get(day, ("", True)), read or row_batches)


def export_daily(database: Database, objects: Objects, today: date, days_again: int) -> Iterator[Exported]:
    """Write what is new until yesterday, and compare some days before once more.

    Args:
        database: As for ``export_days``.
        objects: As for ``export_days``.
        today: Which is not written: it isn't over.
        days_again: Days before yesterday that are compared again; for what a transaction that took long brought.
    """
    last = today - timedelta(days=1)
    for table in TABLES:
        newest = max(_known(database, objects, table), default=None)
        first = None if newest is None else min(newest + timedelta(days=1), last - timedelta(days=days_again))
        yield from export_days(database, objects, first, last, [table])


def _await_all(database: Database, table: LedgerTable, last: date) -> None:
    """Wait until whatever will ever be recorded by the end of a day that is over is committed."""
    end = bounds(last)[1]
    if end < utc_now():
        with database.engine("reader").connect() as connection:
            await_known(connection, [table.qualified], end)


def _known(database: Database, objects: Objects, table: LedgerTable) -> dict[date, tuple[str, bool]]:
    with _connected(database) as connection:
        rows = connection.execute(_KNOWN, [objects.shown, table.ledger, table.name]).fetchall()
    return {day: (checksum, is_stale) for day, checksum, is_stale in rows}


def _days(database: Database, table: LedgerTable, first: date | None, last: date) -> list[date]:
    """Return the days on which rows were recorded."""
    name = sql.Identifier(table.ledger, table.name)
    with _connected(database) as connection:
        edges = connection.execute(sql.SQL(_EDGES).format(name)).fetchone()
        if edges is None or edges[0] is None:
            return []
        begin = bounds(max(first, edges[0].astimezone(UTC).date()) if first else edges[0].astimezone(UTC).date())[0]
        return [day for (day,) in connection.execute(sql.SQL(_DAYS).format(name), [begin, bounds(last)[1]])]


def _exported(database: Database, objects: Objects, table: LedgerTable, day: date, known: tuple[str, bool], read: Read) -> Exported:
    checksum, is_stale = known
    with _connected(database) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        columns = columns_of(connection, table)
        facts = facts_of_rows(connection, table, columns, day)
        if facts.checksum == checksum and not is_stale:
            return Exported(table.qualified, day, "unchanged", facts.rows)
        if not facts.rows:
            objects.delete(file_of(table, day))
            size_bytes = 0
        else:
            size_bytes = _write(connection, objects, table, columns, day, facts, read)
    with database.connect("writer") as connection, connection.transaction():
        connection.execute(_NOTE, [objects.shown, table.ledger, table.name, day, facts.rows, size_bytes, facts.checksum])
    return Exported(table.qualified, day, "written" if facts.rows else "deleted", facts.rows, size_bytes)


def _write(
    connection: psycopg.Connection[Any], objects: Objects, table: LedgerTable, columns: list[Column], day: date, facts: Facts, read: Read
) -> int:
    """Write a file beside its place, compare it with the rows, and put it in its place; return its size."""
    import pyarrow.parquet as pq

    part = objects.workplace() / f"{uuid4().hex}.parquet"
    try:
        with pq.ParquetWriter(part, arrow_schema(columns), compression="zstd") as writer:
            for batch in read(connection, table, columns, day):
                writer.write_batch(batch)
        found = facts_of_file(part, columns).differences(facts)
        if found:
            raise RetryableError(f"the file of {table.qualified} of {day} differs from its rows: {'; '.join(found[:3])}")
        size_bytes = part.stat().st_size
        objects.put_file(file_of(table, day), part)
        return size_bytes
    finally:
        part.unlink(missing_ok=True)


def row_batches(connection: psycopg.Connection[Any], table: LedgerTable, columns: list[Column], day: date) -> Iterator[pa.RecordBatch]:
    """Read the rows of a table that were recorded on a day, in the order in which they were."""
    import pyarrow as pa

    schema = arrow_schema(columns)
    order = sql.SQL(", ").join(sql.Identifier(name) for name in ("recorded_at", *table.identity, "version"))
    statement = sql.SQL("SELECT {} FROM {} WHERE recorded_at >= %s AND recorded_at < %s ORDER BY {}").format(
        sql.SQL(", ").join(column.selected for column in columns), sql.Identifier(table.ledger, table.name), order
    )
    with connection.cursor(name=f"lake_{time.monotonic_ns()}") as cursor:
        cursor.execute(statement, bounds(day))
        while rows := cursor.fetchmany(_ROWS_A_GROUP):
            arrays = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


@contextmanager
def _connected(database: Database) -> Iterator[psycopg.Connection[Any]]:
    try:
        with database.connect("reader") as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"PostgreSQL: {str(error).strip().splitlines()[0]}") from error
