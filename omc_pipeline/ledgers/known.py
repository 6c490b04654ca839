"""Read the latest versions of facts by their keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from omc_pipeline.ledgers.table import LedgerTable, Row, key_of

_KEYS_A_QUERY = 1_000

Fact = tuple[LedgerTable, tuple[Any, ...]]
"""A table and a natural key in it."""


def latest_versions(
    connection: psycopg.Connection[Any], source: str, rows: Sequence[Row], known: Callable[[LedgerTable], sql.Composable] | None = None
) -> dict[Fact, Row]:
    """Return the latest version of each fact of the rows, if there is one.

    Args:
        connection: In the caller's transaction. The source must be locked, or another process may add a version.
        source: Whose facts.
        rows: Of one or several tables, none of them per account.
        known: Returns the query to look a table's rows up in; None: the table itself.
    """
    keys: dict[LedgerTable, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        keys[row.table].append(key_of(row))
    found: dict[Fact, Row] = {}
    for table, of_table in keys.items():
        for at in range(0, len(of_table), _KEYS_A_QUERY):
            some = of_table[at : at + _KEYS_A_QUERY]
            found |= {(table, key_of(row)): row for row in _latest(connection, source, table, some, known)}
    return found


def _latest(
    connection: psycopg.Connection[Any],
    source: str,
    table: LedgerTable,
    keys: Sequence[tuple[Any, ...]],
    known: Callable[[LedgerTable], sql.Composable] | None,
) -> list[Row]:
    key = sql.SQL(", ").join(map(sql.Identifier, table.key))
    placeholders = sql.SQL(", ").join([sql.SQL("({})").format(sql.SQL(", ").join([sql.Placeholder()] * len(table.key)))] * len(keys))
    statement = sql.SQL(
        "SELECT DISTINCT ON ({key}) {fields} FROM {table} AS known WHERE source = %s AND ({key}) IN ({keys}) ORDER BY {key}, version DESC"
    ).format(
        key=key,
        fields=sql.SQL(", ").join(map(sql.Identifier, table.fields)),
        table=known(table) if known else sql.Identifier(table.ledger, table.name),
        keys=placeholders,
    )
    rows = connection.execute(statement, [source, *(value for values in keys for value in values)], prepare=False).fetchall()
    return [table.row(*map(_in_utc, row)) for row in rows]


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
