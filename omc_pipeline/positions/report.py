"""A user's profit and loss as rows, cut by coin or by calendar month; every cut adds up to the same total."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.policy import Method
from omc_pipeline.positions.run import required_run
from omc_pipeline.positions.summary import PositionSummary, Summary, summary

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

CUTS = ("coin", "period", "algorithm")
MONTHS = """
SELECT to_char(date_trunc('month', m.disposed_at AT TIME ZONE 'UTC'), 'YYYY-MM') AS period, m.currency, count(DISTINCT m.sell_fill),
    sum(m.proceeds), sum(m.cost), sum(m.gain)
FROM pnl.lot_match m WHERE m.run_id = %(run)s AND m.currency = %(currency)s GROUP BY 1, 2 ORDER BY 1
"""
EXCEPTIONS = "SELECT kind, symbol, fill_id, qty, message FROM pnl.exception WHERE run_id = %(run)s ORDER BY exception_no"


def report(database: Database, user_id: str, by: str = "coin", method: Method = "fifo", currency: str | None = None) -> dict[str, Any]:
    """Answer a user's latest run: totals, rows by the cut, exceptions.

    Args:
        database: Where it is kept.
        user_id: Whose.
        by: ``coin``, or ``period``: gains before expensed fees by calendar month of the sale, in UTC.
        method: Which of the user's runs.
        currency: Which positions, where they are in several.

    Raises:
        BadInputError: No run yet, positions in several currencies and none named, or an unknown cut.
    """
    if by == "algorithm":
        raise BadInputError("fills bear no algorithm yet, so there is no cut by algorithm; use --by coin or period")
    if by not in CUTS:
        raise BadInputError(f"there is no cut by {by!r}; use coin or period")
    total = summary(database, user_id, method, currency)
    with database.connect("reader") as connection:
        run = required_run(connection, user_id, method)
        bound = {"run": total.run_id, "currency": total.currency}
        exceptions = connection.execute(EXCEPTIONS, bound).fetchall()
        months = connection.execute(MONTHS, bound).fetchall() if by == "period" else []
    names = ("period", "currency", "sells", "proceeds", "cost", "gain")
    rows = [_coin(position) for position in total.by_symbol] if by == "coin" else [_cells(names, month) for month in months]
    return {
        "user": user_id,
        "method": method,
        "fee_policy": run.basis.fee_policy,
        "oversell_policy": run.basis.oversell_policy,
        "currency": total.currency,
        "by": by,
        "rows": rows,
        "totals": _totals(total),
        "exceptions": [_cells(("kind", "symbol", "fill", "qty", "message"), row) for row in exceptions],
    }


def _coin(position: PositionSummary) -> dict[str, Any]:
    names = ("symbol", "currency", "qty", "open_cost", "price", "value", "realized", "unrealized", "proceeds", "cost")
    return _cells(names, [getattr(position, name) for name in names])


def _totals(total: Summary) -> dict[str, Any]:
    names = ("realized", "unrealized", "proceeds", "value", "cost", "identity_holds")
    return _cells(names, [getattr(total, name) for name in names])


def _cells(names: tuple[str, ...], values: Any) -> dict[str, Any]:
    return {name: _trimmed(value) if isinstance(value, Decimal) else value for name, value in zip(names, values, strict=True)}


def _trimmed(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
