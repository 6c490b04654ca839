"""Comments of tables and columns, for people who use another database client.

A storey contributes its texts by the entry point group ``omc.comments``: a function that returns a text for ``schema.table`` and for
``schema.table.column``. ``migrate`` writes those that differ, so a better text needs no revision.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

COMMENTS_GROUP = "omc.comments"
OF_THE_TABLE = "table"
"""Key of a table's own text in a file; ``SHARED`` is that of texts by column name."""
SHARED = "shared"
_PRESENT = """
SELECT n.nspname || '.' || c.relname AS name, c.relkind IN ('v', 'm') AS is_view, a.attname AS column_name,
    format('%I.%I', n.nspname, c.relname) AS quoted, quote_ident(a.attname) AS quoted_column,
    coalesce(CASE WHEN a.attnum IS NULL THEN obj_description(c.oid, 'pg_class') ELSE col_description(c.oid, a.attnum) END, '') AS text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT NULL::name AS attname, NULL::smallint AS attnum
    UNION ALL SELECT attname, attnum FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS a
WHERE c.relkind IN ('r', 'p', 'v') AND c.relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)
"""


@dataclass(frozen=True)
class Comments:
    """Texts of one storey.

    Attributes:
        named: By ``schema.table`` and ``schema.table.column``.
        shared: By the name of a column, for the columns of the storey's tables that have no text of their own.
    """

    named: Mapping[str, str]
    shared: Mapping[str, str]

    def text(self, table: str, column: str | None) -> str | None:
        """Return the text of a table, or of one of its columns; None where this storey says nothing about it."""
        if column is None or f"{table}.{column}" in self.named:
            return self.named.get(table if column is None else f"{table}.{column}")
        return self.shared.get(column) if table in self.named else None


def read_comments(file: Path) -> Comments:
    """Read a file of texts: a TOML table for each ``"schema.table"``, and ``[shared]``."""
    document = tomllib.loads(file.read_text())
    shared = document.pop(SHARED, {})
    named = {
        name if key == OF_THE_TABLE else f"{name}.{key}": " ".join(text.split())
        for name, texts in document.items()
        for key, text in texts.items()
    }
    return Comments(named, shared)


def own_comments() -> Comments:
    """Return the texts of this storey's tables."""
    return read_comments(Path(__file__).with_name("comments.toml"))


def contributed_comments() -> list[Comments]:
    """Return the texts of all storeys."""
    contributions: list[Callable[[], Comments]] = [entry.load() for entry in sorted(entry_points(group=COMMENTS_GROUP))]
    return [contribute() for contribute in contributions]


def write_comments(connection: Connection, storeys: Sequence[Comments] | None = None) -> int:
    """Write the texts that the database doesn't have yet.

    Args:
        connection: Of the role that owns the tables; what is written is committed.
        storeys: Texts instead of those that all storeys contribute; of two for the same column the first holds.

    Returns:
        How many were written.
    """
    from sqlalchemy import text

    storeys = contributed_comments() if storeys is None else storeys
    statements = []
    for name, is_view, column, quoted, quoted_column, present in connection.execute(text(_PRESENT)):
        wanted = next((found for storey in storeys if (found := storey.text(name, column)) is not None), None)
        if wanted is not None and wanted != present:
            what = f"COLUMN {quoted}.{quoted_column}" if column else f"{'VIEW' if is_view else 'TABLE'} {quoted}"
            statements.append(f"COMMENT ON {what} IS {_literal(wanted)}")
    if statements:
        connection.exec_driver_sql(";\n".join(statements))
    connection.commit()
    return len(statements)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"
