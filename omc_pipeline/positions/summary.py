"""What a user gained and holds, added up from the kept rows, with the identity of profit and loss checked to the last digit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import decimal_of, exact_units
from omc_pipeline.pnl.policy import Method
from omc_pipeline.positions.run import RunRow, required_run

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

POSITIONS = """
SELECT p.symbol, p.currency, coalesce(o.qty, 0), coalesce(o.cost, 0), coalesce(m.gain, 0), coalesce(m.proceeds, 0),
    p.bought, p.expensed_fees, v.value, v.unrealized, v.price, v.price_source, v.price_observed_at
FROM pnl.position p
LEFT JOIN (SELECT symbol, currency, sum(gain) AS gain, sum(proceeds) AS proceeds FROM pnl.lot_match WHERE run_id = %(run)s GROUP BY 1, 2) m
    USING (symbol, currency)
LEFT JOIN (SELECT symbol, currency, sum(qty) AS qty, sum(cost) AS cost FROM pnl.open_lot WHERE run_id = %(run)s GROUP BY 1, 2) o
    USING (symbol, currency)
LEFT JOIN (
    SELECT DISTINCT ON (symbol, currency) * FROM pnl.valuation WHERE run_id = %(run)s
    ORDER BY symbol, currency, price_observed_at DESC, valuation_id DESC
) v USING (symbol, currency)
WHERE p.run_id = %(run)s ORDER BY p.symbol, p.currency
"""


@dataclass(frozen=True, slots=True)
class PositionSummary:
    """One coin in one currency; ``value`` and ``unrealized`` are None where it is held and has no price."""

    symbol: str
    currency: str
    qty: Decimal
    open_cost: Decimal
    realized: Decimal
    unrealized: Decimal | None
    proceeds: Decimal
    value: Decimal | None
    cost: Decimal
    price: Decimal | None
    price_source: str | None
    price_observed_at: datetime | None
    identity_holds: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """All of a user's positions in one currency.

    ``realized`` is gains less expensed fees, ``proceeds`` what matched sells brought net, ``cost`` what everything ever bought
    cost (with expensed fees), ``value`` what open lots are worth. ``value`` and ``unrealized`` are None where a held coin has
    no price; ``unpriced`` names it. ``identity_holds``: realized + unrealized = proceeds + value − cost, exactly, for
    every position and their sum; of an unpriced position the same without its open lots.
    """

    run_id: UUID
    user_id: str
    method: Method
    currency: str
    realized: Decimal
    unrealized: Decimal | None
    proceeds: Decimal
    value: Decimal | None
    cost: Decimal
    identity_holds: bool
    by_symbol: Sequence[PositionSummary]
    unpriced: Sequence[str]


def summary(database: Database, user_id: str, method: Method = "fifo", currency: str | None = None) -> Summary:
    """Add up a user's positions from matches, open lots and latest valuations.

    Args:
        database: Where they are kept.
        user_id: Whose.
        method: Which of the user's runs.
        currency: Which positions; may be left out where all are in one.

    Raises:
        BadInputError: No run yet, or positions in several currencies and none named.
    """
    with database.connect("reader") as connection:
        run = required_run(connection, user_id, method)
        rows = connection.execute(POSITIONS, {"run": run.run_id}).fetchall()
    currencies = sorted({row[1] for row in rows})
    if currency is None and len(currencies) > 1:
        raise BadInputError(f"user {user_id!r} has positions in {', '.join(currencies)}, which do not add up; name one currency")
    chosen = currency or (currencies[0] if currencies else "")
    return _summary(run, user_id, chosen, [_position(row) for row in rows if row[1] == chosen])


def _position(row: Sequence[Any]) -> PositionSummary:
    symbol, currency = row[:2]
    qty, open_cost, gains, proceeds, bought, fees = (exact_units(number) for number in row[2:8])
    realized, cost = gains - fees, bought + fees
    value, unrealized = (0, 0) if qty == 0 else (None if number is None else exact_units(number) for number in row[8:10])
    if value is None or unrealized is None:
        holds = realized == proceeds - (cost - open_cost)
    else:
        holds = realized + unrealized == proceeds + value - cost
    numbers = (qty, open_cost, realized, unrealized, proceeds, value, cost)
    decimals = [None if number is None else decimal_of(number) for number in numbers]
    cells: list[Any] = [symbol, currency, *decimals, *row[10:], holds]
    return PositionSummary(*cells)


def _summary(run: RunRow, user_id: str, currency: str, positions: Sequence[PositionSummary]) -> Summary:
    realized, proceeds, cost = (_sum(getattr(p, name) for p in positions) for name in ("realized", "proceeds", "cost"))
    value, unrealized = (_sum_known([getattr(p, name) for p in positions]) for name in ("value", "unrealized"))
    holds = all(position.identity_holds for position in positions)
    if value is not None and unrealized is not None:
        holds = holds and realized + unrealized == proceeds + value - cost
    return Summary(
        run_id=run.run_id,
        user_id=user_id,
        method=run.basis.method,
        currency=currency,
        realized=decimal_of(realized),
        unrealized=None if unrealized is None else decimal_of(unrealized),
        proceeds=decimal_of(proceeds),
        value=None if value is None else decimal_of(value),
        cost=decimal_of(cost),
        identity_holds=holds,
        by_symbol=tuple(positions),
        unpriced=tuple(position.symbol for position in positions if position.value is None),
    )


def _sum(numbers: Iterable[Decimal]) -> int:
    """Add exactly, as units; the default decimal context would round at 28 digits."""
    return sum(exact_units(number) for number in numbers)


def _sum_known(numbers: Sequence[Decimal | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return _sum(known) if len(known) == len(numbers) else None
