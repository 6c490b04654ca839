"""Which columns a table has in the lake, in types that every reader of Parquet knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from omc_infra.errors import ConfigurationError
from omc_pipeline.ledgers.table import LedgerTable

if TYPE_CHECKING:
    import pyarrow as pa

PARTITIONS = ("year", "month", "day")
"""Keys of the folders; a column of such a name has ``_`` at its end in the file, for readers take it from the folder."""

_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_SUMS = {
    "numeric": "sum({c})",
    "integer": "sum({c}::numeric)",
    "bigint": "sum({c}::numeric)",
    "smallint": "sum({c}::numeric)",
    "double precision": "sum({c}::numeric)",
    "timestamp with time zone": "sum((extract(epoch FROM {c}) * 1000000)::numeric)",
    "date": "sum(({c} - DATE '1970-01-01')::numeric)",
    "boolean": "sum({c}::int::numeric)",
    "text": "sum(octet_length({c})::numeric)",
}
"""What is summed of a column by its type, to compare a file with its rows."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: In the database.
        type: There, without precision: ``numeric``.
        is_nullable: Whether values may be missing.
    """

    name: str
    type: str
    is_nullable: bool

    @property
    def in_file(self) -> str:
        """Its name in the file."""
        return f"{self.name}_" if self.name in PARTITIONS else self.name

    @property
    def selected(self) -> sql.Composable:
        """What is read of it."""
        return sql.SQL("{}::text").format(sql.Identifier(self.name)) if self.type == "jsonb" else sql.Identifier(self.name)

    @property
    def summed(self) -> sql.Composable:
        """What is summed of it."""
        identifier = sql.Identifier(self.name).as_string(None)
        name = f"{identifier}::text" if self.type == "jsonb" else identifier
        return sql.SQL(_SUMS["text" if self.type == "jsonb" else self.type].format(c=f"({name})"))


def columns_of(connection: psycopg.Connection[Any], table: LedgerTable) -> list[Column]:
    """Return the columns of a table in their order.

    Raises:
        ConfigurationError: One has a type that the lake doesn't know.
    """
    found = [
        Column(name, written.partition("(")[0].strip() if written.startswith("numeric") else written, nullable)
        for name, written, nullable in connection.execute(_COLUMNS, [table.qualified]).fetchall()
    ]
    strange = [f"{column.name} is {column.type}" for column in found if column.type not in (*_SUMS, "jsonb")]
    if strange:
        raise ConfigurationError(f"{table.qualified} can't be exported to the lake: {', '.join(strange)}")
    return found


def arrow_schema(columns: list[Column]) -> pa.Schema:
    """Return the schema of the file: decimals of 38 digits, 18 of them after the point, and instants in microseconds UTC."""
    import pyarrow as pa

    types = {
        "numeric": pa.decimal128(38, 18),
        "integer": pa.int32(),
        "smallint": pa.int32(),
        "bigint": pa.int64(),
        "double precision": pa.float64(),
        "timestamp with time zone": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
        "boolean": pa.bool_(),
        "text": pa.string(),
        "jsonb": pa.string(),
    }
    return pa.schema([pa.field(column.in_file, types[column.type], nullable=column.is_nullable) for column in columns])


def file_of(table: LedgerTable, day: date) -> str:
    """Return the name of the file of a table and day: ``glass/coin_price/year=2026/month=11/day=27/part-0.parquet``."""
    return f"{table.ledger}/{table.name}/year={day:%Y}/month={day:%m}/day={day:%d}/part-0.parquet"
