"""The one way into a ledger table: COPY into a temporary table, then insert what is new or has changed.

Rows are never updated. A fact that differs from its latest version becomes the next version; one that is equal changes nothing,
so collecting the same hour twice changes nothing.
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
    return _append(connection, source, staged_rows(rows), payload_sha256, replayed_from)


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
    remaining, done = iter(rows), Future[Mapping[str, Appended]]()
    done.set_result({})
    with ThreadPoolExecutor(1, "append_bulk") as writing:  # the next rows are written as text while PostgreSQL takes these
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
    for table, rows in staged.items():  # before any lock: the longest part for many rows
        copy_staged(connection, table, rows)
        if table.monthly:
            make_months(connection, table, rows.newest, rows.newest)
    # All locks in one order, or two writers could wait for each other; and each before its stamp (see ``knowledge``).
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
    """Compose the insert of the staged rows that are new versions; it returns how many keys were new, and how many had changed.

    ``oldest`` and ``newest`` of the staged clocks are bound.

    Args:
        table: Whose rows.
        is_replay: Whether ``replayed_from`` is bound.
        known: What the rows are compared with, by any name; None: the table.
        target: Where the new versions go; None: the table.
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
    """Compose the condition that a row ``known`` is of the same fact as one that is ``incoming``.

    The clock stands as a span, of which the planner believes that many rows have it, because many rows of a table do, and new partitions
    have no statistics that say so: else it may look at all rows of that time for each one that comes.
    """
    conditions: list[sql.Composable] = [_equal("known", "incoming", field) for field in table.key if field != table.clock]
    if not table.per_account:
        conditions.insert(0, sql.SQL("known.source = %(source)s"))
    if table.clock in table.key:
        known, incoming = sql.Identifier("known", table.clock), sql.Identifier("incoming", table.clock)
        conditions.append(sql.SQL("{} BETWEEN {} AND {}").format(known, incoming, incoming))
        conditions.append(sql.SQL("{} BETWEEN %(oldest)s AND %(newest)s").format(known))  # no other partition is opened
    if keeps_newest and table.latest is not None:  # what is newer than the newest row of its series is new, and nothing need be searched
        conditions.append(sql.SQL("{} <= {}").format(sql.Identifier("incoming", table.clock), sql.Identifier("newest", table.clock)))
    return sql.SQL(" AND ").join(conditions)


def _newest(table: LedgerTable) -> sql.Composable:
    """Join the newest row of each series, where the database keeps it."""
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
