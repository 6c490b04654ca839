"""What held coins are worth at the latest quotes, each value with the price, its source and its time.

The price is the middle of bid and ask; where one of them is missing, the last trade; then the bid. An ask alone is no price:
nobody has offered to pay it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.pnl.amounts import exact_units, market_value, rounded_quotient, text_of
from omc_pipeline.pnl.mark import missing_price
from omc_pipeline.pnl.policy import Method
from omc_pipeline.pnl.result import PnlException
from omc_pipeline.positions.run import RunRow, required_run
from omc_pipeline.positions.write import copy_rows, exception_cells

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

STALE_AFTER = timedelta(hours=24)
"""Age of a quote above which a value made from it is reported; it is still used."""


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one coin, in 1e-18 units."""

    units: int
    source: str
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Valuation:
    """What a valuation did: positions held and valued, and the coins that have no price."""

    run_id: UUID
    valued: int
    unpriced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Held:
    symbol: str
    currency: str
    qty: int
    cost: int


def value_positions(database: Database, user_id: str, now: datetime, method: Method = "fifo") -> Valuation:
    """Value a user's open positions and keep the values; the same quotes again add no row.

    A held coin without a price becomes an exception of kind ``missing_price``, never a value of 0; a quote older than a day
    one of kind ``stale_price``.

    Args:
        database: Where positions and quotes are.
        user_id: Whose positions.
        now: The present, from which the age of a quote is counted.
        method: Which of the user's runs.

    Raises:
        BadInputError: The user has no run by this method yet.
    """
    with database.connect("writer") as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"pnl.run {user_id}",))
        run = required_run(connection, user_id, method)
        held = _held(connection, run)
        prices = _prices(LedgerReader(database.engine("reader")), held)
        priced = [
            (position, prices[position.symbol, position.currency]) for position in held if (position.symbol, position.currency) in prices
        ]
        for position, price in priced:
            _keep(connection, run, user_id, position, price)
        unpriced = [position for position in held if (position.symbol, position.currency) not in prices]
        exceptions = [missing_price(position.symbol, position.currency, position.qty) for position in unpriced]
        exceptions += [_stale(position, price) for position, price in priced if now - price.observed_at > STALE_AFTER]
        _report(connection, run, user_id, exceptions)
        return Valuation(run.run_id, len(priced), tuple(position.symbol for position in unpriced))


def price_of(quote: Mapping[str, Any]) -> Price | None:
    """Answer the price that a quote gives, or None where it gives none that one could sell at."""
    bid, ask, last = ([exact_units(quote[name])] if quote[name] is not None else [] for name in ("bid", "ask", "last"))
    middle = [rounded_quotient(bid[0] + ask[0], 2)] if bid and ask else []
    units = next(iter(middle + last + bid), None)
    return None if units is None else Price(units, quote["source"], quote["observed_at"])


def _held(connection: Any, run: RunRow) -> list[_Held]:
    rows = connection.execute(
        "SELECT symbol, currency, qty, cost FROM pnl.position WHERE run_id = %s AND qty > 0 ORDER BY symbol, currency", (run.run_id,)
    )
    return [_Held(symbol, currency, exact_units(qty), exact_units(cost)) for symbol, currency, qty, cost in rows]


def _prices(reader: LedgerReader, held: Iterable[_Held]) -> dict[tuple[str, str], Price]:
    """Answer the newest price of each held coin; of two sources at the same instant, the first by name."""
    symbols: dict[str, list[str]] = {}
    for position in held:
        symbols.setdefault(position.currency, []).append(position.symbol)
    prices: dict[tuple[str, str], Price] = {}
    for currency, wanted in symbols.items():
        for quote in sorted(reader.latest_quotes(wanted, currency), key=lambda quote: quote["source"]):
            price, known = price_of(quote), prices.get((quote["symbol"], currency))
            if price is not None and (known is None or price.observed_at > known.observed_at):
                prices[quote["symbol"], currency] = price
    return prices


def _keep(connection: Any, run: RunRow, user_id: str, position: _Held, price: Price) -> None:
    value = market_value(position.qty, price.units)
    amounts = (Decimal(text_of(units)) for units in (price.units, value, value - position.cost))
    connection.execute(
        "INSERT INTO pnl.valuation (run_id, user_id, symbol, currency, price_source, price_observed_at, price, value, unrealized)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (run.run_id, user_id, position.symbol, position.currency, price.source, price.observed_at, *amounts),
    )


def _stale(position: _Held, price: Price) -> PnlException:
    message = f"{position.symbol} is valued at a quote of {price.source} from {price.observed_at.isoformat()}"
    return PnlException("stale_price", position.symbol, None, position.qty, message)


def _report(connection: Any, run: RunRow, user_id: str, exceptions: Iterable[PnlException]) -> None:
    rows = connection.execute("SELECT kind, symbol, exception_no FROM pnl.exception WHERE run_id = %s", (run.run_id,)).fetchall()
    known = {(kind, symbol) for kind, symbol, _ in rows}
    fresh = [row for row in exceptions if (row.kind, row.symbol) not in known]
    copy_rows(connection, "exception", run, user_id, exception_cells(fresh, 1 + max((number for _, _, number in rows), default=0)))
