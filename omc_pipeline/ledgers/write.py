"""The one way into a ledger table: COPY into a temporary table, then insert what is new or has changed.

Rows are never updated. A fact that differs from its latest version becomes the next version; one that is equal changes nothing,
so collecting the same hour twice changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import Any

import psycopg
from psycopg import sql

from omc_infra.errors import BadInputError
from omc_pipeline.ledgers.doors import MAY_CORRECT, note_door
from omc_pipeline.ledgers.knowledge import stamp
from omc_pipeline.ledgers.partitions import make_months_for
from omc_pipeline.ledgers.table import LedgerTable, Row, row_digest


@dataclass(frozen=True)
class Appended:
    """What an append did to one table, by natural key: new facts, new versions of known facts, facts known as they are."""

    inserted: int = 0
    changed: int = 0
    unchanged: int = 0

    def __add__(self, other: Appended) -> Appended:
        """Add up two appends to one table."""
        return Appended(self.inserted + other.inserted, self.changed + other.changed, self.unchanged + other.unchanged)

    @property
    def rows(self) -> int:
        """All rows that were handed in, less the duplicates among them."""
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

    Of rows with the same natural key the last one counts. Writers of one table wait for each other, so versions follow
    each other without gaps, and ``recorded_at`` in the order of the commits.

    Args:
        connection: In a transaction of role writer; nothing is kept unless the caller commits.
        source: Who told us.
        rows: Of one or several tables.
        payload_sha256: The body they were read from, or None for rows made otherwise.
        replayed_from: When a body that is read again was fetched. Such a row is no new version of a fact that was once
            known just so, nor of one that a later fetch has told since: a replay mends history, it doesn't turn it back.

    Returns:
        By qualified name, for each table that had rows.
    """
    of_table: dict[LedgerTable, list[Row]] = defaultdict(list)
    for row in rows:
        of_table[row.table].append(row)
    tables = sorted(of_table, key=lambda table: table.qualified)
    staged = {table: _stage(connection, table, of_table[table]) for table in tables}  # before any lock: the longest part for many rows
    for table in tables:
        make_months_for(connection, table, of_table[table])
    # All locks in one order, or two writers could wait for each other; and each before its stamp (see ``knowledge``).
    stamps = {table: stamp(connection, table.qualified) for table in tables}
    bound = {"source": source, "payload_sha256": payload_sha256, "replayed_from": replayed_from}
    return {table.qualified: _insert(connection, table, staged[table], {**bound, "recorded_at": stamps[table]}) for table in tables}


def append_bulk(
    connection: psycopg.Connection[Any], source: str, rows: Iterable[Row], payload_sha256: str | None, *, chunk_rows: int = 10_000
) -> Mapping[str, Appended]:
    """Append many rows in chunks, each a short transaction of its own, so that other writers and readers wait for none of it long.

    What is done stays when a later chunk fails, and appending all again completes it. A key that comes in two chunks with different
    facts becomes two versions.

    Args:
        connection: Of role writer, outside a transaction.
        source: Who told us.
        rows: Of one or several tables; read as they are needed.
        payload_sha256: The body they were read from, or None.
        chunk_rows: Rows of one transaction.

    Returns:
        By qualified name, for each table that had rows.

    Raises:
        BadInputError: The connection is in a transaction, which would hold the tables until it ends.
    """
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise BadInputError("append_bulk: the connection is in a transaction; commit first, or use append")
    total: dict[str, Appended] = {}
    remaining = iter(rows)
    while chunk := list(islice(remaining, chunk_rows)):
        with connection.transaction():
            done = append(connection, source, chunk, payload_sha256)
        for table, count in done.items():
            total[table] = total.get(table, Appended()) + count
    return total


def _stage(connection: psycopg.Connection[Any], table: LedgerTable, rows: Iterable[Row]) -> int:
    """Copy the rows, of each key the last, and their digests into a temporary table of their own; return how many."""
    natural_key, facts = attrgetter(*table.key), attrgetter(*table.fields)
    distinct = {natural_key(row): row for row in rows}
    staging, fields = _staging(table), sql.SQL(", ").join(map(sql.Identifier, table.fields))
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(staging))
    connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {}, row_sha256 FROM {} WITH NO DATA").format(
            sql.Identifier(_staging_name(table)), fields, _name(table)
        )
    )
    with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY {} ({}, row_sha256) FROM STDIN").format(staging, fields)) as copy:
        for row in distinct.values():
            copy.write_row((*facts(row), row_digest(row)))
    return len(distinct)


def _insert(connection: psycopg.Connection[Any], table: LedgerTable, staged: int, bound: Mapping[str, Any]) -> Appended:
    if table.per_account:
        note_door(connection, bound["source"], _staging(table))
    statement = _insertion(table, _NOT_TURNED_BACK if bound["replayed_from"] else sql.SQL("true"))
    added = connection.execute(statement, bound, prepare=False).fetchone()
    inserted, changed = (int(count) for count in added) if added else (0, 0)
    return Appended(inserted, changed, staged - inserted - changed)


_NOT_TURNED_BACK = sql.SQL(
    """
    NOT EXISTS (
        SELECT FROM {table} AS known WHERE {same_key} AND known.row_sha256 = incoming.row_sha256
    ) AND NOT EXISTS (
        SELECT FROM raw.fetch AS told WHERE told.payload_sha256 = latest.payload_sha256
        AND told.source = %(source)s AND told.fetched_at > %(replayed_from)s
    )
    """
)


def _insertion(table: LedgerTable, is_wanted: sql.SQL) -> sql.Composed:
    """Compose the insert of new versions; answers how many keys were new, and how many had changed."""
    same_key = sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier("known", field), sql.Identifier("incoming", field)) for field in table.key
    )
    if not table.per_account:
        same_key = sql.SQL("known.source = %(source)s AND {}").format(same_key)
    return sql.SQL(
        """
        WITH added AS (
            INSERT INTO {table} (source, {fields}, version, recorded_at, payload_sha256, row_sha256)
            SELECT %(source)s, {incoming_fields}, coalesce(latest.version, 0) + 1, %(recorded_at)s, %(payload_sha256)s, incoming.row_sha256
            FROM {staging} AS incoming
            LEFT JOIN LATERAL (
                SELECT known.version, known.row_sha256, known.payload_sha256, known.source FROM {table} AS known
                WHERE {same_key}
                ORDER BY known.version DESC LIMIT 1
            ) AS latest ON true
            WHERE latest.row_sha256 IS DISTINCT FROM incoming.row_sha256 AND {may_correct} AND {is_wanted}
            RETURNING version
        )
        SELECT count(*) FILTER (WHERE version = 1), count(*) FILTER (WHERE version > 1) FROM added
        """
    ).format(
        table=_name(table),
        staging=_staging(table),
        fields=sql.SQL(", ").join(map(sql.Identifier, table.fields)),
        incoming_fields=sql.SQL(", ").join(sql.Identifier("incoming", field) for field in table.fields),
        same_key=same_key,
        may_correct=MAY_CORRECT if table.per_account else sql.SQL("true"),
        is_wanted=is_wanted.format(table=_name(table), same_key=same_key),
    )


def _name(table: LedgerTable) -> sql.Identifier:
    return sql.Identifier(table.ledger, table.name)


def _staging(table: LedgerTable) -> sql.Identifier:
    return sql.Identifier("pg_temp", _staging_name(table))


def _staging_name(table: LedgerTable) -> str:
    return f"incoming_{table.ledger}_{table.name}"
