"""What an append would do, found out without doing it: new versions go to temporary tables of the connection, and no lock is taken.

The same statement as that of ``write`` decides what is new and what has changed, over the ledger and what the preview has told before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from omc_pipeline.ledgers.doors import require_owner
from omc_pipeline.ledgers.staging import Staged, copy_staged, staged_rows, staging_table
from omc_pipeline.ledgers.table import BOOKKEEPING, LedgerTable, Row
from omc_pipeline.ledgers.write import Appended, insertion


@dataclass(frozen=True)
class Example:
    """One new version that would be written.

    Attributes:
        key: The natural key by field.
        version: Its number.
        before: Those facts of the version before that would change, by field; empty for a new fact.
        after: The same fields as they would be; all but the key's for a new fact.
    """

    key: Mapping[str, Any]
    version: int
    before: Mapping[str, Any]
    after: Mapping[str, Any]


class LedgerPreview:
    """Counts what appends would do; one preview a connection.

    Args:
        connection: Of role writer, which may make temporary tables, outside a transaction; the tables stay until ``close``.
        source: Who tells.
        tables: Where its rows go.
    """

    def __init__(self, connection: psycopg.Connection[Any], source: str, tables: Sequence[LedgerTable]) -> None:
        self._connection, self._source, self._tables = connection, source, tables
        with connection.transaction():
            for table in tables:
                self._make_overlay(table)

    def append(self, rows: Sequence[Row], payload_sha256: str, replayed_from: datetime) -> Mapping[str, Appended]:
        """Count what ``write.append`` would do with these rows after all that the preview was told before.

        Args:
            rows: Of one or several tables, in the caller's transaction.
            payload_sha256: The body they were read from.
            replayed_from: When it was fetched.

        Returns:
            By qualified name, for each table that had rows.
        """
        staged = staged_rows(rows)
        return {table.qualified: self._append(table, found, payload_sha256, replayed_from) for table, found in staged.items()}

    def examples(self, table: LedgerTable, most: int) -> list[Example]:
        """Return some of the new facts and some of the changed ones that were counted, at most so many of each, oldest clock first."""
        same = sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier("earlier", name), sql.Identifier("told", name)) for name in table.identity
        )
        fields = [
            sql.SQL("{} IS DISTINCT FROM {}").format(sql.Identifier("earlier", name), sql.Identifier("told", name)) for name in table.fields
        ]
        statement = sql.SQL(
            "SELECT told.*, ARRAY[{differs}] AS differs, {before} FROM {told} AS told LEFT JOIN {known} AS earlier"
            " ON {same} AND earlier.version = told.version - 1 WHERE (told.version > 1) = %s ORDER BY told.{clock}, told.version LIMIT %s"
        ).format(
            differs=sql.SQL(", ").join(fields),
            before=sql.SQL(", ").join(
                sql.SQL("{} AS {}").format(sql.Identifier("earlier", name), sql.Identifier(f"before {name}")) for name in table.fields
            ),
            told=_overlay(table),
            known=self.known(table),
            same=same,
            clock=sql.Identifier(table.clock),
        )
        with self._connection.transaction(), self._connection.cursor(row_factory=dict_row) as cursor:
            found = [row for is_changed in (False, True) for row in cursor.execute(statement, [is_changed, most]).fetchall()]
        return [_example(table, row) for row in found]

    def close(self) -> None:
        """Drop the temporary tables."""
        with self._connection.transaction():
            for table in self._tables:
                self._connection.execute(sql.SQL("DROP TABLE {}").format(_overlay(table)))

    def known(self, table: LedgerTable) -> sql.Composed:
        """Return the query of a table's rows and of those that were told, for the place of the table in a statement."""
        return sql.SQL("(SELECT {columns} FROM {table} UNION ALL SELECT {columns} FROM {overlay})").format(
            columns=_columns(table), table=sql.Identifier(table.ledger, table.name), overlay=_overlay(table)
        )

    def _append(self, table: LedgerTable, staged: Staged, payload_sha256: str, replayed_from: datetime) -> Appended:
        copy_staged(self._connection, table, staged)
        if table.per_account:
            require_owner(self._connection, self._source, staging_table(table))
        statement = insertion(table, is_replay=True, known=self.known(table), target=_overlay(table))
        bound: dict[str, Any] = {
            "source": self._source,
            "payload_sha256": payload_sha256,
            "replayed_from": replayed_from,
            "recorded_at": replayed_from,
        }
        bound |= {"oldest": staged.oldest, "newest": staged.newest}
        counts = self._connection.execute(statement, bound, prepare=False).fetchone()
        inserted, changed = (int(count) for count in counts) if counts else (0, 0)
        return Appended(inserted, changed, staged.rows - inserted - changed)

    def _make_overlay(self, table: LedgerTable) -> None:
        self._connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} AS SELECT {} FROM {} WITH NO DATA").format(
                sql.Identifier(_overlay_name(table)), _columns(table), sql.Identifier(table.ledger, table.name)
            )
        )
        key = sql.SQL(", ").join(map(sql.Identifier, (*table.identity, "version")))
        self._connection.execute(sql.SQL("CREATE INDEX ON {} ({})").format(_overlay(table), key))


def _example(table: LedgerTable, row: Mapping[str, Any]) -> Example:
    differs = {name for name, is_other in zip(table.fields, row["differs"], strict=True) if is_other} - set(table.key)
    is_new = row["version"] == 1
    shown = [name for name in table.fields if name in differs or (is_new and name not in table.key)]
    return Example(
        key={name: row[name] for name in table.key},
        version=row["version"],
        before={} if is_new else {name: row[f"before {name}"] for name in shown},
        after={name: row[name] for name in shown},
    )


def _columns(table: LedgerTable) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, (*table.fields, *BOOKKEEPING)))


def _overlay(table: LedgerTable) -> sql.Identifier:
    return sql.Identifier("pg_temp", _overlay_name(table))


def _overlay_name(table: LedgerTable) -> str:
    return f"told_{table.ledger}_{table.name}"
