"""What is compared of the rows of a day and of their file: how many, and a sum over every column."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from omc_pipeline.lake.schema import Column
from omc_pipeline.ledgers.table import LedgerTable, number_text


@dataclass(frozen=True)
class Facts:
    """Counts and sums.

    Attributes:
        rows: How many rows.
        sums: By column: values that are there, and their sum; of texts the sum of their bytes, of instants of their microseconds.
    """

    rows: int
    sums: Mapping[str, tuple[int, str]]

    @property
    def checksum(self) -> str:
        """SHA-256 over the facts."""
        return hashlib.sha256(json.dumps([self.rows, self.sums], sort_keys=True).encode()).hexdigest()

    def differences(self, other: Facts) -> list[str]:
        """Return what differs, a line each."""
        if self.rows != other.rows:
            return [f"{self.rows:,} rows against {other.rows:,}"]
        return [
            f"{name}: {self.sums.get(name)} against {other.sums.get(name)}" for name in self.sums if self.sums[name] != other.sums.get(name)
        ]


def bounds(day: date) -> tuple[datetime, datetime]:
    """Return the begin of a day and of the next, UTC."""
    begin = datetime.combine(day, time.min, UTC)
    return begin, begin + timedelta(days=1)


def facts_of_rows(connection: psycopg.Connection[Any], table: LedgerTable, columns: Sequence[Column], day: date) -> Facts:
    """Return the facts of the rows that were recorded on a day."""
    parts = sql.SQL(", ").join(sql.SQL("count({}), {}").format(sql.Identifier(column.name), column.summed) for column in columns)
    statement = sql.SQL("SELECT count(*), {} FROM {} WHERE recorded_at >= %s AND recorded_at < %s").format(parts, _name(table))
    row = connection.execute(statement, bounds(day)).fetchone() or (0,)
    pairs = zip(columns, row[1::2], row[2::2], strict=True)
    return Facts(int(row[0]), {column.in_file: (int(count), _text(total)) for column, count, total in pairs})


def facts_of_file(file: Path, columns: Sequence[Column]) -> Facts:
    """Return the facts of a Parquet file, read column by column."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        sums: dict[str, tuple[int, str]] = {}
        for column in columns:
            values = parquet.read([column.in_file]).column(0)
            count = len(values) - values.null_count
            if column.type == "numeric":
                total = pc.sum(values.cast(pa.decimal256(76, 18))).as_py()
            elif column.type == "double precision":
                total = sum((Decimal(str(value.as_py())) for value in values if value.is_valid), Decimal(0))
            elif column.type in ("text", "jsonb"):
                total = pc.sum(pc.binary_length(values).cast(pa.int64())).as_py()
            else:
                total = pc.sum(_whole(values, column.type, pa)).as_py()
            sums[column.in_file] = (count, _text(total if count else None))
        return Facts(parquet.metadata.num_rows, sums)


def _whole(values: Any, kind: str, pa: Any) -> Any:
    """Return a column's values as decimals without a fraction, which no sum of them can overflow."""
    if kind == "date":
        values = values.cast(pa.int32())
    return values.cast(pa.int64()).cast(pa.decimal256(76, 0))


def _text(total: Any) -> str:
    return "" if total is None else number_text(Decimal(total))


def _name(table: LedgerTable) -> sql.Identifier:
    return sql.Identifier(table.ledger, table.name)
