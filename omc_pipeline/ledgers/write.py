"""The one way into a ledger table: COPY into a temporary table, then insert what is new or has changed.

Rows are never updated. A fact that differs from its latest version becomes the next version; one that is equal changes nothing,
so collecting the same hour twice changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

import psycopg
from psycopg import sql

from omc_pipeline.ledgers.doors import MAY_CORRECT, note_door
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
    for table in tables:  # all locks first and in one order, or two writers could wait for each other
        lock_table(connection, table)
    bound = {"source": source, "payload_sha256": payload_sha256, "replayed_from": replayed_from}
    return {table.qualified: _append(connection, table, of_table[table], bound) for table in tables}


def lock_table(connection: psycopg.Connection[Any], table: LedgerTable) -> None:
    """Wait for the other writers of a table, and keep them waiting until the caller's transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"omc.append {table.qualified}"])


def _append(connection: psycopg.Connection[Any], table: LedgerTable, rows: Iterable[Row], bound: Mapping[str, Any]) -> Appended:
    natural_key = attrgetter(*table.key)
    distinct = {natural_key(row): row for row in rows}
    _stage(connection, table, distinct.values())
    if table.per_account:
        note_door(connection, bound["source"])
    statement = _insertion(table, _NOT_TURNED_BACK if bound["replayed_from"] else sql.SQL("true"))
    added = connection.execute(statement, bound, prepare=False).fetchone()
    inserted, changed = (int(count) for count in added) if added else (0, 0)
    return Appended(inserted, changed, len(distinct) - inserted - changed)


def _stage(connection: psycopg.Connection[Any], table: LedgerTable, rows: Iterable[Row]) -> None:
    """Copy rows and their digests into the table ``pg_temp.incoming``, made anew."""
    fields = sql.SQL(", ").join(map(sql.Identifier, table.fields))
    connection.execute("DROP TABLE IF EXISTS pg_temp.incoming")
    connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS SELECT {}, row_sha256 FROM {} WITH NO DATA").format(fields, _name(table))
    )
    facts = attrgetter(*table.fields)
    with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY pg_temp.incoming ({}, row_sha256) FROM STDIN").format(fields)) as copy:
        for row in rows:
            copy.write_row((*facts(row), row_digest(row)))


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
            INSERT INTO {table} (source, {fields}, version, payload_sha256, row_sha256)
            SELECT %(source)s, {incoming_fields}, coalesce(latest.version, 0) + 1, %(payload_sha256)s, incoming.row_sha256
            FROM pg_temp.incoming
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
        fields=sql.SQL(", ").join(map(sql.Identifier, table.fields)),
        incoming_fields=sql.SQL(", ").join(sql.Identifier("incoming", field) for field in table.fields),
        same_key=same_key,
        may_correct=MAY_CORRECT if table.per_account else sql.SQL("true"),
        is_wanted=is_wanted.format(table=_name(table), same_key=same_key),
    )


def _name(table: LedgerTable) -> sql.Identifier:
    return sql.Identifier(table.ledger, table.name)
