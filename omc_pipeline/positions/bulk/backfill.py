"""The way of a backfill: one connection reads, this thread matches, another connection writes, all three at the same time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from omc_pipeline.pnl.amounts import text_of
from omc_pipeline.pnl.result import oversell
from omc_pipeline.positions.bulk.chunk import Carry, matched_chunk
from omc_pipeline.positions.bulk.output import TABLES, Ended, Output, output_of
from omc_pipeline.positions.bulk.reading import Bytes, FillColumns, differs_from_last, digest_of, read_fills
from omc_pipeline.positions.copying import HEADER, TRAILER, copied_out
from omc_pipeline.positions.sums import SUM_COLUMNS, Sums

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database
    from omc_pipeline.positions.run_context import RunContext

_SLICE = 1 << 20
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
FILLS = """
COPY (
    SELECT symbol, fill_id, account_id, algorithm_id, side, fee_currency = symbol AND fee_currency <> currency, executed_at, qty,
        quote_amount, fee, price, decode(row_sha256, 'hex')
    FROM exchange.fill f WHERE user_id = {user} AND symbol = ANY({coins}){counted} ORDER BY symbol, executed_at
) TO STDOUT (FORMAT binary)
"""
SAVE = f"UPDATE pnl.position SET (run_id, last_at, {SUM_COLUMNS}) = (%s, %s{', %s' * len(Sums._fields)}) WHERE position_id = %s"
EXTRA = {"lot": (", queue, arrived_at", ", '', acquired_at")}
"""Columns of a table that follow from others, and what they follow from."""


class Backfill:
    """Matches all fills of whole coins of a user.

    Args:
        context: Of the run.
        database: For a connection that reads what the run sees.
        then: What becomes of the rows of a table after each chunk, which then lie in ``pg_temp.bulk_<table>``.
    """

    def __init__(self, context: RunContext, database: Database, then: Callable[[str], None]) -> None:
        self._context, self._database, self._then = context, database, then
        self._carry = Carry()
        self.matches, self.digest = 0, 0

    def run(self, ids: Mapping[str, int]) -> None:
        """Read, match and write all fills of some coins.

        Args:
            ids: Of their positions, by coin.
        """
        context = self._context
        for table, columns in TABLES.items():
            context.connection.execute(f"DROP TABLE IF EXISTS pg_temp.bulk_{table}")
            context.connection.execute(
                f"CREATE TEMPORARY TABLE bulk_{table} ON COMMIT DROP AS SELECT {columns} FROM pnl.{table} WITH NO DATA"
            )
        snapshot = context.connection.execute("SELECT pg_export_snapshot()").fetchone()[0]  # type: ignore[index]
        with closing(self._chunks(snapshot, list(ids))) as chunks, ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
            reading: Future[tuple[bytes, int] | None] = reader.submit(next, chunks, None)
            writing: Future[None] | None = None
            left, left_rows, ended = b"", 0, False
            while not ended:
                read = reading.result()
                ended = read is None
                content, rows = read or (b"", 0)
                if not ended:
                    reading = reader.submit(next, chunks, None)
                output, left, left_rows = self._match(left + content, left_rows + rows, ids, is_last=ended)
                if output is not None:
                    if writing is not None:
                        writing.result()
                    writing = writer.submit(self._write, output, ids)
            if writing is not None:
                writing.result()

    def _chunks(self, snapshot: str, coins: list[str]) -> Generator[tuple[bytes, int], None, None]:
        """Return rows as they come, so many at a time; in the end none."""
        from psycopg import IsolationLevel, sql

        with self._database.connect("reader") as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
            connection.execute("SET LOCAL enable_sort = off")  # an index has them in order already; a sort would keep them all
            counted = sql.SQL(self._context.fills.counted)
            statement = sql.SQL(FILLS).format(user=sql.Literal(self._context.user_id), coins=sql.Literal(coins), counted=counted)
            yield from copied_out(connection, statement, self._context.batching.chunk_fills)

    def _match(self, content: bytes, rows: int, ids: Mapping[str, int], *, is_last: bool) -> tuple[Output | None, bytes, int]:
        """Match the rows up to the last instant, whose fills may go on in the next chunk; answer those that are left, too."""
        basis, given = self._context.basis, np.frombuffer(content, np.uint8)
        fills = read_fills(given, rows)
        end = rows if is_last else _last_instant(given, fills)
        if end == 0 and not is_last:
            return None, content, rows
        part = FillColumns._make(column[:end] for column in fills)
        chunk = matched_chunk(given, part, self._carry, basis.method, basis.fee_policy, basis.oversell_policy)
        if len(chunk.matched.beyond):
            raise OverflowError("a sum of money or units reaches 1e20")
        output = output_of(chunk, self._carry, ids, basis.method, self._context.batching.checkpoint_trades, is_last=is_last)
        self._carry = output.carry
        self.digest += digest_of(given, part)
        self.matches += len(chunk.matched.matches.sell)
        for symbol, sell, qty, at in output.unmatched:
            self._context.exceptions.found(oversell(symbol, sell, qty, basis.oversell_policy), _EPOCH + timedelta(microseconds=at))
        left = b"" if end == rows else content[int(fills.begins[end]) :]
        return output, left, rows - end

    def _write(self, output: Output, ids: Mapping[str, int]) -> None:
        for table, content in output.tables.items():
            if len(content):
                self._copy(table, content)
                self._then(table)
        if output.ended:
            run = self._context.run_id
            self._context.connection.cursor().executemany(SAVE, [(run, *_cells(ended, ids)) for ended in output.ended])

    def _copy(self, table: str, content: Bytes) -> None:
        with self._context.connection.cursor().copy(f"COPY pg_temp.bulk_{table} ({TABLES[table]}) FROM STDIN (FORMAT binary)") as copy:
            copy.write(HEADER)
            for at in range(0, len(content), _SLICE):
                copy.write(content[at : at + _SLICE].tobytes())
            copy.write(TRAILER)


def move(context: RunContext, table: str) -> None:
    """Put the rows that a chunk left in a temporary table into its table."""
    keep(context, table)
    context.connection.execute(f"TRUNCATE pg_temp.bulk_{table}")


def keep(context: RunContext, table: str) -> None:
    """Copy the rows of a temporary table into its table."""
    columns, (extra, values) = TABLES[table], EXTRA.get(table, ("", ""))
    context.connection.execute(
        f"INSERT INTO pnl.{table} (user_id, run_id, {columns}{extra}) SELECT %s, %s, {columns}{values} FROM pg_temp.bulk_{table}",
        (context.user_id, context.run_id),
    )


def _last_instant(content: Bytes, fills: FillColumns) -> int:
    """Return the first row of the last instant of the last coin."""
    from omc_pipeline.positions.bulk.reading import SYMBOL

    changes = differs_from_last(content, fills.starts[:, SYMBOL], fills.lengths[:, SYMBOL])
    changes[1:] |= fills.time[1:] != fills.time[:-1]
    return int(np.flatnonzero(changes)[-1]) if len(changes) else 0


def _cells(ended: Ended, ids: Mapping[str, int]) -> tuple[Any, ...]:
    return _EPOCH + timedelta(microseconds=ended.last), ended.trades, *map(text_of, ended.sums), ids[ended.symbol]
