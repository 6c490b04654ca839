"""What the database says about its own tables: columns, types, keys and comments."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate
from omc_infra.settings import load_settings

NOT_OURS = ("pg_catalog", "information_schema", "pg_toast", "dagster", "partitions")
"""Schemas without tables of ours; ``partitions`` holds the months of tables that are described themselves."""
"""Schemas that are left out; the tables of Dagster are made and described by Dagster."""

_COLUMNS = """
SELECT n.nspname, c.relname, c.relkind = 'v', obj_description(c.oid, 'pg_class'), a.attname, format_type(a.atttypid, a.atttypmod),
    NOT a.attnotnull, col_description(c.oid, a.attnum), array_position(i.indkey::smallint[], a.attnum), c.relrowsecurity
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relkind IN ('r', 'p', 'v') AND n.nspname <> ALL (%s) ORDER BY n.nspname, c.relname, a.attnum
"""
_SHORT_TYPES = {"timestamp with time zone": "timestamptz", "double precision": "float8", "character varying(32)": "text"}


@dataclass(frozen=True)
class ColumnFacts:
    """One column; ``key_place`` is its place in the primary key, None outside of it."""

    name: str
    type: str
    is_nullable: bool
    comment: str
    key_place: int | None


@dataclass(frozen=True)
class TableFacts:
    """One table or view with its columns, in their order."""

    schema: str
    name: str
    is_view: bool
    comment: str
    is_secured: bool
    columns: list[ColumnFacts] = field(default_factory=list)

    @property
    def qualified(self) -> str:
        """Schema and name."""
        return f"{self.schema}.{self.name}"

    @property
    def key(self) -> list[str]:
        """Names of the columns of the primary key, in its order."""
        placed = [(column.key_place, column.name) for column in self.columns if column.key_place is not None]
        return [name for _, name in sorted(placed)]


def read_tables(database: Database) -> list[TableFacts]:
    """Return every table and view of ours, by schema and name."""
    with database.connect("owner") as connection:
        rows = connection.execute(_COLUMNS, [list(NOT_OURS)]).fetchall()
    tables: dict[tuple[str, str], TableFacts] = {}
    for schema, name, is_view, comment, column, kind, is_nullable, meaning, place, is_secured in rows:
        table = tables.setdefault((schema, name), TableFacts(schema, name, is_view, comment or "", is_secured))
        table.columns.append(ColumnFacts(column, _SHORT_TYPES.get(kind, kind), is_nullable, meaning or "", place))
    return list(tables.values())


@contextmanager
def new_database() -> Iterator[Database]:
    """Start a server in a temporary folder and open a new database of the sandbox profile, migrated."""
    with (
        tempfile.TemporaryDirectory(prefix="omc-reference-") as home,
        open_database(load_settings({"OMC_HOME": str(Path(home))}), check=False) as database,
    ):
        migrate(database)
        yield database


def undescribed(tables: Sequence[TableFacts]) -> list[str]:
    """Return the tables and columns that have no comment."""
    found = [table.qualified for table in tables if not table.comment]
    return found + [f"{table.qualified}.{column.name}" for table in tables for column in table.columns if not column.comment]
