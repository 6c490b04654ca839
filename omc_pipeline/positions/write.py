"""A run into its tables, by COPY; amounts go over as decimal text, so nothing rounds them on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from omc_pipeline.pnl.amounts import text_of
from omc_pipeline.pnl.result import PnlException, PositionResult

if TYPE_CHECKING:
    from omc_pipeline.positions.run import RunRow

_COLUMNS = {
    "lot_match": "match_no, symbol, currency, sell_fill, lot_fill, qty, cost, proceeds, gain, acquired_at, disposed_at, rule",
    "open_lot": "symbol, currency, lot_fill, qty, cost, acquired_at",
    "position": "symbol, currency, qty, cost, bought_qty, bought, sold_qty, unmatched_qty, proceeds, realized, expensed_fees",
    "exception": "exception_no, kind, symbol, fill_id, qty, message",
}
_Cells = tuple[Any, ...]


def write_run(connection: Any, run: RunRow, user_id: str, positions: Sequence[PositionResult], exceptions: Sequence[PnlException]) -> None:
    """Write a run and all that came of it, in the caller's transaction.

    Args:
        connection: Of psycopg, role writer.
        run: What it was computed by.
        user_id: Whose rows these are.
        positions: Results, by symbol and currency.
        exceptions: Those of the fills; the positions' own follow them.
    """
    basis = run.basis
    connection.execute(
        "INSERT INTO pnl.run (run_id, user_id, method, fee_policy, oversell_policy, input_sha256, fills)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (run.run_id, user_id, basis.method, basis.fee_policy, basis.oversell_policy, run.input_sha256, run.fills),
    )
    found = [*exceptions, *(row for position in positions for row in position.exceptions)]
    rows: dict[str, Iterable[_Cells]] = {
        "lot_match": _matches(positions),
        "open_lot": _open_lots(positions),
        "position": _positions(positions),
        "exception": exception_cells(found, 1),
    }
    for table, cells in rows.items():
        copy_rows(connection, table, run, user_id, cells)


def copy_rows(connection: Any, table: str, run: RunRow, user_id: str, rows: Iterable[_Cells]) -> None:
    """Append rows of one run and user to a table of schema ``pnl``.

    They go through a temporary table: PostgreSQL refuses COPY into a table with row-level security.
    """
    columns = f"run_id, user_id, {_COLUMNS[table]}"
    connection.execute(f"CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS SELECT {columns} FROM pnl.{table} WITH NO DATA")
    with connection.cursor().copy(f"COPY incoming ({columns}) FROM STDIN") as copy:
        for cells in rows:
            copy.write_row((run.run_id, user_id, *cells))
    connection.execute(f"INSERT INTO pnl.{table} ({columns}) SELECT {columns} FROM incoming")
    connection.execute("DROP TABLE incoming")


def exception_cells(exceptions: Iterable[PnlException], first: int) -> Iterator[_Cells]:
    """Number exceptions from ``first`` on."""
    for number, row in enumerate(exceptions, first):
        yield number, row.kind, row.symbol, row.fill, None if row.qty is None else text_of(row.qty), row.message


def _matches(positions: Sequence[PositionResult]) -> Iterator[_Cells]:
    number = 0
    for position in positions:
        for match in position.matching.matches:
            number += 1
            amounts = map(text_of, (match.qty, match.cost, match.proceeds, match.gain))
            yield (
                number,
                position.symbol,
                position.currency,
                match.sell,
                match.lot,
                *amounts,
                match.acquired_at,
                match.disposed_at,
                match.rule,
            )


def _open_lots(positions: Sequence[PositionResult]) -> Iterator[_Cells]:
    for position in positions:
        for lot in position.matching.open_lots:
            yield position.symbol, position.currency, lot.id, text_of(lot.qty), text_of(lot.cost), lot.acquired_at


def _positions(positions: Sequence[PositionResult]) -> Iterator[_Cells]:
    for p in positions:
        unmatched = sum(p.matching.unmatched.values())
        amounts = (p.qty, p.cost, p.bought_qty, p.bought, p.sold_qty, unmatched, p.proceeds, p.realized, p.fees)
        yield p.symbol, p.currency, *map(text_of, amounts)
