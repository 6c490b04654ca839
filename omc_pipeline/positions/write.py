"""Rows into the tables of ``pnl``, many at a time; amounts go over as decimal text, so nothing rounds them on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

_FEW = 100
"""Up to so many rows are inserted one by one: a temporary table costs more."""
_MANY = 20_000
Cells = Sequence[Any]


class TableWriter:
    """Collects rows of one table and hands them over when they are many, or when ``flush`` is called.

    Many rows go by COPY through a temporary table: PostgreSQL refuses COPY into a table with row-level security.

    Args:
        connection: Of role writer, in a transaction.
        table: Of schema ``pnl``.
        columns: In the order of the rows' cells.
    """

    def __init__(self, connection: psycopg.Connection[Any], table: str, columns: str) -> None:
        self._connection, self._table, self._columns = connection, table, columns
        self._rows: list[Cells] = []
        self._has_staging = False
        self.written = 0

    def add(self, rows: Iterable[Cells]) -> None:
        """Take rows in."""
        self._rows.extend(rows)
        if len(self._rows) >= _MANY:
            self.flush()

    def flush(self) -> None:
        """Write what was taken in."""
        if not self._rows:
            return
        if len(self._rows) <= _FEW:
            places = ", ".join(["%s"] * len(self._rows[0]))
            self._connection.cursor().executemany(f"INSERT INTO pnl.{self._table} ({self._columns}) VALUES ({places})", self._rows)
        else:
            self._copy()
        self.written += len(self._rows)
        self._rows = []

    def _copy(self) -> None:
        staging = f"incoming_{self._table}"
        if self._has_staging:
            self._connection.execute(f"TRUNCATE pg_temp.{staging}")
        else:
            self._connection.execute(
                f"CREATE TEMPORARY TABLE {staging} ON COMMIT DROP AS SELECT {self._columns} FROM pnl.{self._table} WITH NO DATA"
            )
            self._has_staging = True
        with self._connection.cursor().copy(f"COPY pg_temp.{staging} ({self._columns}) FROM STDIN") as copy:
            for row in self._rows:
                copy.write_row(row)
        self._connection.execute(f"INSERT INTO pnl.{self._table} ({self._columns}) SELECT {self._columns} FROM pg_temp.{staging}")
