"""Stored symbols that the registry of assets now names otherwise: find them, and rename them with the digests of their rows.

Tickers change hands, so what a stored symbol becomes may depend on the time of its row. A row whose place is taken (a venue listed the
old ticker beside the new one at the same moment) becomes ``VENUE:TICKER`` and stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

NewName = Callable[[str, str, datetime], tuple[str, str] | None]
"""From source, stored symbol and time of the row: the symbol by which it should stand, and the one where that place is taken."""


@dataclass(frozen=True)
class Named:
    """A table with symbols in it.

    Attributes:
        table: Schema and name.
        columns: Those that hold one symbol each.
        lists: Those that hold several, separated by commas.
        clock: The source's own time.
        key: The columns that name a fact beside ``version``.
        fields: The facts of which ``row_sha256`` is the digest, in order.
    """

    table: str
    columns: tuple[str, ...]
    lists: tuple[str, ...]
    clock: str
    key: tuple[str, ...]
    fields: tuple[str, ...]


class Renaming(NamedTuple):
    """Rows of one source and column, from a time until before another, and what their symbol becomes."""

    source: str
    column: str
    old: str
    new: str
    otherwise: str
    since: datetime
    until: datetime


_ISO = """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS') || CASE WHEN {0} = date_trunc('second', {0}) THEN ''
    ELSE to_char({0} AT TIME ZONE 'UTC', '.US') END || '+00:00'"""
_CELLS: Mapping[str, str] = {
    "timestamp with time zone": _ISO,
    "numeric": "trim_scale({0})::text",
    "boolean": "CASE WHEN {0} THEN 'True' WHEN NOT {0} THEN 'False' END",
    "text": "{0}",
}
_TYPES = "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema || '.' || table_name = %s"


def plan(
    connection: psycopg.Connection[Any], named: Named, turning_points: Sequence[datetime], new_name: NewName, columns: Iterable[str] = ()
) -> list[Renaming]:
    """Return what is to be renamed in a table.

    Args:
        connection: To read by.
        named: The table.
        turning_points: The times at which any ticker changed hands.
        new_name: What becomes of a symbol; None: it stays.
        columns: Instead of those with one symbol each.
    """
    found: list[Renaming] = []
    for column in columns or named.columns:
        spans = f"min({named.clock}), max({named.clock})"
        statement = f"SELECT source, {column}, {spans} FROM {named.table} WHERE {column} IS NOT NULL GROUP BY 1, 2"
        for source, old, first, last in connection.execute(statement.encode()).fetchall():
            starts = [first, *(point for point in turning_points if first < point <= last)]
            for start, until in zip(starts, [*starts[1:], datetime.max.replace(tzinfo=first.tzinfo)], strict=True):
                names = new_name(source, old, start)
                if names is not None and names[0] != old:
                    found.append(Renaming(source, column, old, *names, start, until))
    return found


def rename(connection: psycopg.Connection[Any], named: Named, renamings: Sequence[Renaming]) -> int:
    """Rename in one table within the caller's transaction, and return how many rows changed."""
    changed = 0
    for each in renamings:
        bound = each._asdict()
        changed += connection.execute(_statement(connection, named, each.column, "new"), bound).rowcount
        if each.column in named.key and each.otherwise != each.old:
            changed += connection.execute(_statement(connection, named, each.column, "otherwise"), bound).rowcount
    return changed


def row_digest_of(connection: psycopg.Connection[Any], named: Named, replaced: Mapping[str, str] | None = None) -> str:
    """Write the digest of a row as ``omc_pipeline.ledgers.table.row_digest`` does, some columns replaced by other expressions."""
    types = dict(connection.execute(_TYPES, [named.table]).fetchall())
    cells = [(replaced or {}).get(field) or _CELLS.get(types[field], "{0}::text").format(f"t.{field}") for field in named.fields]
    joined = r" || '\x1f'::bytea || ".join(rf"coalesce(convert_to({cell}, 'UTF8'), '\x00'::bytea)" for cell in cells)
    return f"encode(sha256({joined}), 'hex')"


def _statement(connection: psycopg.Connection[Any], named: Named, column: str, name: str) -> sql.SQL:
    """Write the update of one column; where it is part of the key, of the rows whose place is free."""
    symbol = f"%({name})s::text"
    same = " AND ".join(f"o.{part} = {symbol if part == column else f't.{part}'}" for part in named.key)
    is_free = f"AND NOT EXISTS (SELECT FROM {named.table} o WHERE {same})" if column in named.key else ""
    digest = row_digest_of(connection, named, {column: symbol})
    statement = f"""UPDATE {named.table} t SET {column} = {symbol}, row_sha256 = {digest}
        WHERE t.source = %(source)s AND t.{column} = %(old)s AND t.{named.clock} >= %(since)s AND t.{named.clock} < %(until)s {is_free}"""
    return sql.SQL(statement)
