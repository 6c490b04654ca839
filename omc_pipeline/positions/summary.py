"""What a user gained and holds, from the kept positions at their latest prices; the identity is checked to the last digit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from omc_pipeline.pnl.amounts import decimal_of, exact_units, market_value
from omc_pipeline.pnl.policy import Method
from omc_pipeline.positions.basis import RunRow, required_run
from omc_pipeline.positions.changes import fills_since

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

POSITIONS = """
SELECT p.symbol, p.currency, p.qty, p.open_cost, p.realized, p.proceeds, p.bought, p.fees, v.price, v.price_source, v.price_observed_at
FROM pnl.position p
LEFT JOIN LATERAL (
    SELECT price, price_source, price_observed_at FROM pnl.valuation v WHERE v.position_id = p.position_id
    ORDER BY price_observed_at DESC, run_id DESC, valuation_id DESC LIMIT 1
) v ON p.qty > 0
WHERE p.user_id = %s AND p.method = %s AND p.currency = %s AND p.trades > 0 ORDER BY p.symbol
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
    """All of a user's positions by one method, in one currency.

    ``realized`` is gains less expensed fees, ``proceeds`` what matched sells brought net, ``cost`` what everything ever bought
    cost (with expensed fees), ``value`` what is held now at the latest prices. ``value`` and ``unrealized`` are None where a
    held coin has no price; ``unpriced`` names it. ``identity_holds``: realized + unrealized = proceeds + value − cost,
    exactly, for every position and their sum; of an unpriced position the same without its open lots. All is as the run knew it;
    ``fills_since`` counts the fills recorded or corrected since, which are in none of the figures.
    """

    run_id: int
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
    fills_since: int = 0


def summary(database: Database, user_id: str, method: Method = "fifo", currency: str | None = None) -> Summary:
    """Add up a user's positions.

    Args:
        database: Where they are kept.
        user_id: Whose.
        method: Which of the user's runs.
        currency: One that the user reports in; None: the default.

    Raises:
        BadInputError: No run in the currency yet, or the user doesn't report in it.
    """
    from psycopg import IsolationLevel

    with database.connect("reader") as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        run = required_run(connection, user_id, method, currency)
        rows = connection.execute(POSITIONS, (user_id, method, run.basis.currency)).fetchall()
        since, _ = fills_since(connection, user_id, run.known_at)
    return replace(_summary(run, user_id, [_position(row) for row in rows]), fills_since=since)


def _position(row: Sequence[Any]) -> PositionSummary:
    symbol, currency = row[:2]
    qty, open_cost, realized, proceeds, bought, fees = (exact_units(number) for number in row[2:8])
    cost, price = bought + fees, row[8]
    value = 0 if qty == 0 else None if price is None else market_value(qty, exact_units(price))
    unrealized = None if value is None else value - open_cost
    if value is None or unrealized is None:
        holds = realized == proceeds - (cost - open_cost)
    else:
        holds = realized + unrealized == proceeds + value - cost
    numbers = (qty, open_cost, realized, unrealized, proceeds, value, cost)
    decimals = [None if number is None else decimal_of(number) for number in numbers]
    cells: list[Any] = [symbol, currency, *decimals, *row[8:], holds]
    return PositionSummary(*cells)


def _summary(run: RunRow, user_id: str, positions: Sequence[PositionSummary]) -> Summary:
    realized, proceeds, cost = (_sum(getattr(p, name) for p in positions) for name in ("realized", "proceeds", "cost"))
    value, unrealized = (_sum_known([getattr(p, name) for p in positions]) for name in ("value", "unrealized"))
    holds = all(position.identity_holds for position in positions)
    if value is not None and unrealized is not None:
        holds = holds and realized + unrealized == proceeds + value - cost
    return Summary(
        run_id=run.run_id,
        user_id=user_id,
        method=run.basis.method,
        currency=run.basis.currency,
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
