"""Append rows to ledger tables: COPY into a temporary table, then insert the new and the changed facts.

All writers use this module. Rows are never updated. If a fact differs from its latest version, it becomes the next version. An equal
fact adds no row, so collecting the same hour twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import psycopg
from psycopg import sql

from omc_infra.errors import BadInputError
from omc_pipeline.ledgers.doors import MAY_CORRECT, note_door
from omc_pipeline.ledgers.knowledge import stamp
from omc_pipeline.ledgers.partitions import make_months
from omc_pipeline.ledgers.staging import Staged, copy_staged, staged_rows, staging_table
from omc_pipeline.ledgers.table import LedgerTable, Row


@dataclass(frozen=True)
class Appended:
    """Counts of an append to one table, by natural key: new facts, new versions of known facts, unchanged facts."""

    inserted: int = 0
    changed: int = 0
    unchanged: int = 0

    def __add__(self, other: Appended) -> Appended:
        """Add the counts of two appends to one table."""
        return Appended(self.inserted + other.inserted, self.changed + other.changed, self.unchanged + other.unchanged)

    @property
    def rows(self) -> int:
        """Number of rows passed in, without duplicates."""
        return self.inserted + self.changed + self.unchanged


def append(
    connection: psycopg.Connection[Any],
    source: str,
    rows: Sequence[Row],
    payload_sha256: str | None,
    *,
    replayed_from: datetime | None = None,
) -> Mapping[str, Appended]:
    """Append rows to their tables within the caller's transaction.

    If several rows have the same natural key, the last one is used. Writers of one table wait for each other. Therefore version
    numbers have no gaps, and ``recorded_at`` has the order of the commits.

    Args:
        connection: In a transaction of role writer; nothing is stored unless the caller commits.
        source: Name of the source.
        rows: Rows of one or several tables.
        payload_sha256: The body that the rows were parsed from; None for rows without a body.
        replayed_from: For a replay: when the body was fetched. A row is then skipped if an equal version of its fact exists
            already, or if a later fetch of the source returned the body of the fact's latest version. So a replay of an old body
            corrects rows, but never replaces newer facts with older ones.

    Returns:
        Counts by qualified table name, for each table that had rows.
    """
    return _append(connection, source, staged_rows(rows), payload_sha256, replayed_from)


def append_bulk(
    connection: psycopg.Connection[Any], source: str, rows: Iterable[Row], payload_sha256: str | None, *, chunk_rows: int = 10_000
) -> Mapping[str, Appended]:
    """Append many rows in chunks, one short transaction for each chunk, so that other writers and readers never wait long.

    If a chunk fails, the chunks before it stay; appending all rows again completes the work. A key with different facts in two chunks
    becomes two versions.

    Args:
        connection: Of role writer, outside a transaction.
        source: Name of the source.
        rows: Rows of one or several tables; consumed lazily.
        payload_sha256: The body that the rows were parsed from, or None.
        chunk_rows: Number of rows in one transaction.

    Returns:
        Counts by qualified table name, for each table that had rows.

    Raises:
        BadInputError: The connection is in a transaction; it would lock the tables until its end.
    """
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise BadInputError("append_bulk: the connection is in a transaction; commit first, or use append")
    total: dict[str, Appended] = {}
    remaining, done = iter(rows), Future[Mapping[str, Appended]]()
    done.set_result({})
    with ThreadPoolExecutor(1, "append_bulk") as writing:  # PostgreSQL stores one chunk while the next is converted to text
        while chunk := list(islice(remaining, chunk_rows)):
            staged = staged_rows(chunk)
            _add(total, done.result())
            done = writing.submit(_append_chunk, connection, source, staged, payload_sha256)
        _add(total, done.result())
    return total


def _append_chunk(
    connection: psycopg.Connection[Any], source: str, staged: Mapping[LedgerTable, Staged], payload_sha256: str | None
) -> Mapping[str, Appended]:
    with connection.transaction():
        return _append(connection, source, staged, payload_sha256, None)


def _append(
    connection: psycopg.Connection[Any],
    source: str,
    staged: Mapping[LedgerTable, Staged],
    payload_sha256: str | None,
    replayed_from: datetime | None,
) -> Mapping[str, Appended]:
    for table, rows in staged.items():  # before any lock, because this takes longest for many rows
        copy_staged(connection, table, rows)
        if table.monthly:
            # ``newest`` twice on purpose: make the months up to the newest row. With ``oldest``, one row from long ago would create an
            # empty partition for each month since then, which slows down every query. An older row has a place without that: it goes
            # to the partition ``earlier``, which has no start.
            make_months(connection, table, rows.newest, rows.newest)
    # All writers take the locks in the same order, to avoid deadlocks, and each lock before its time stamp (see ``knowledge``).
    stamps = {table: stamp(connection, table.qualified) for table in staged}
    bound = {"source": source, "payload_sha256": payload_sha256, "replayed_from": replayed_from}
    return {table.qualified: _insert(connection, table, rows, {**bound, "recorded_at": stamps[table]}) for table, rows in staged.items()}


def _add(total: dict[str, Appended], done: Mapping[str, Appended]) -> None:
    for table, count in done.items():
        total[table] = total.get(table, Appended()) + count


def _insert(connection: psycopg.Connection[Any], table: LedgerTable, staged: Staged, bound: Mapping[str, Any]) -> Appended:
    if table.per_account:
        note_door(connection, bound["source"], staging_table(table))
    statement = insertion(table, is_replay=bool(bound["replayed_from"]))
    added = connection.execute(statement, {**bound, "oldest": staged.oldest, "newest": staged.newest}, prepare=False).fetchone()
    inserted, changed = (int(count) for count in added) if added else (0, 0)
    return Appended(inserted, changed, staged.rows - inserted - changed)


_NOT_TURNED_BACK = sql.SQL(
    """
    NOT EXISTS (
        SELECT FROM {known} AS known WHERE {same_key} AND known.row_sha256 = incoming.row_sha256
    ) AND NOT EXISTS (
        SELECT FROM raw.fetch AS told WHERE told.payload_sha256 = latest.payload_sha256
        AND told.source = %(source)s AND told.fetched_at > %(replayed_from)s
    )
    """
)


def insertion(
    table: LedgerTable, *, is_replay: bool, known: sql.Composable | None = None, target: sql.Composable | None = None
) -> sql.Composed:
    """Compose the SQL that inserts the staged rows that are new versions; it returns the numbers of new and of changed keys.

    The SQL has the parameters ``oldest`` and ``newest``, the first and last time of the staged rows.

    Args:
        table: The ledger table.
        is_replay: Whether the SQL has the parameter ``replayed_from``.
        known: Relation that the rows are compared with; None: the table.
        target: Table that gets the new versions; None: the table itself.
    """
    keeps_newest = known is None
    same_key = _same_key(table, keeps_newest=keeps_newest)
    compared = {"known": _name(table) if known is None else known, "same_key": same_key}
    return sql.SQL(
        """
        WITH added AS (
            INSERT INTO {target} (source, {fields}, version, recorded_at, payload_sha256, row_sha256)
            SELECT %(source)s, {incoming_fields}, coalesce(latest.version, 0) + 1, %(recorded_at)s, %(payload_sha256)s, incoming.row_sha256
            FROM {staging} AS incoming {newest}
            LEFT JOIN LATERAL (
                SELECT known.version, known.row_sha256, known.payload_sha256, known.source FROM {known} AS known
                WHERE {same_key}
                ORDER BY {newest_first} LIMIT 1
            ) AS latest ON true
            WHERE latest.row_sha256 IS DISTINCT FROM incoming.row_sha256 AND {may_correct} AND {is_wanted}
            RETURNING version
        )
        SELECT count(*) FILTER (WHERE version = 1), count(*) FILTER (WHERE version > 1) FROM added
        """
    ).format(
        target=_name(table) if target is None else target,
        staging=staging_table(table),
        newest=_newest(table) if keeps_newest else sql.SQL(""),
        fields=sql.SQL(", ").join(map(sql.Identifier, table.fields)),
        incoming_fields=sql.SQL(", ").join(sql.Identifier("incoming", field) for field in table.fields),
        newest_first=sql.SQL(", ").join(
            sql.SQL("{} DESC").format(sql.Identifier("known", column))
            for column in (*(table.clock,) * (table.clock in table.key), "version")
        ),
        may_correct=MAY_CORRECT if table.per_account else sql.SQL("true"),
        is_wanted=_NOT_TURNED_BACK.format(**compared) if is_replay else sql.SQL("true"),
        **compared,
    )


def _same_key(table: LedgerTable, *, keeps_newest: bool) -> sql.Composable:
    """Compose the condition that the rows ``known`` and ``incoming`` are versions of the same fact.

    The clock is compared with ``BETWEEN``, not with ``=``. Many rows of a table have the same time, but a new partition has no statistics
    yet, so for ``=`` the planner expects only a few rows. It might then read all rows of that time for each incoming row. For
    ``BETWEEN`` it expects many rows and uses the other columns of the key.
    """
    conditions: list[sql.Composable] = [_equal("known", "incoming", field) for field in table.key if field != table.clock]
    if not table.per_account:
        conditions.insert(0, sql.SQL("known.source = %(source)s"))
    if table.clock in table.key:
        known, incoming = sql.Identifier("known", table.clock), sql.Identifier("incoming", table.clock)
        conditions.append(sql.SQL("{} BETWEEN {} AND {}").format(known, incoming, incoming))
        conditions.append(sql.SQL("{} BETWEEN %(oldest)s AND %(newest)s").format(known))  # so that other partitions are not opened
    if keeps_newest and table.latest is not None:  # a row newer than all of its series needs no search
        conditions.append(sql.SQL("{} <= {}").format(sql.Identifier("incoming", table.clock), sql.Identifier("newest", table.clock)))
    return sql.SQL(" AND ").join(conditions)


def _newest(table: LedgerTable) -> sql.Composable:
    """Join the newest row of each series, if the database stores it."""
    if table.latest is None:
        return sql.SQL("")
    series = [_equal("newest", "incoming", field) for field in table.key[:-1]]
    return sql.SQL("LEFT JOIN {} AS newest ON newest.source = %(source)s AND {}").format(
        sql.Identifier(*table.latest.split(".")), sql.SQL(" AND ").join(series)
    )


def _equal(one: str, other: str, field: str) -> sql.Composable:
    return sql.SQL("{} = {}").format(sql.Identifier(one, field), sql.Identifier(other, field))


def _name(table: LedgerTable) -> sql.Identifier:
    return sql.Identifier(table.ledger, table.name)
