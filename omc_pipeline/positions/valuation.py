"""What held coins are worth at the latest quotes, each value with the price, its source and its time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.pnl.amounts import exact_units, market_value, text_of
from omc_pipeline.pnl.mark import missing_price
from omc_pipeline.pnl.policy import Method
from omc_pipeline.pnl.result import PnlException
from omc_pipeline.positions.basis import required_run
from omc_pipeline.positions.conversion import Conversion
from omc_pipeline.positions.exceptions import ExceptionLog
from omc_pipeline.positions.prices import Price, price_of
from omc_pipeline.positions.run import run_of_user

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

STALE_AFTER = timedelta(hours=24)
"""Age of a quote above which a value made from it is reported; it is still used."""
HELD = """
SELECT position_id, symbol, currency, qty, open_cost FROM pnl.position WHERE user_id = %s AND method = %s AND currency = %s AND qty > 0
ORDER BY symbol
"""
KEEP = """
INSERT INTO pnl.valuation (position_id, run_id, user_id, price_source, price_observed_at, price, qty, value, unrealized)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Valuation:
    """What a valuation did: positions held and valued, and the coins that have no price."""

    run_id: int
    valued: int
    unpriced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Held:
    position_id: int
    symbol: str
    currency: str
    qty: int
    cost: int


def value_positions(database: Database, user_id: str, now: datetime, method: Method = "fifo", currency: str | None = None) -> Valuation:
    """Value a user's open positions and keep the values; the same quotes again add no row.

    A coin that nobody quotes in the currency is worth what it costs in other money, at a rate of the same time. A held coin without a
    price becomes an exception of kind ``missing_price``, never a value of 0; a price older than a day one of kind ``stale_price``.
    Both are cleared once a price is there.

    Args:
        database: Where positions and quotes are.
        user_id: Whose positions.
        now: The present, from which the age of a quote is counted.
        method: Which of the user's runs.
        currency: One that the user reports in; None: the default.

    Raises:
        BadInputError: The user has no run by this method in the currency yet, or doesn't report in it.
    """
    with run_of_user(database, user_id) as connection:
        run = required_run(connection, user_id, method, currency)
        held = [
            _Held(position_id, symbol, held_in, exact_units(qty), exact_units(cost))
            for position_id, symbol, held_in, qty, cost in connection.execute(HELD, (user_id, method, run.basis.currency)).fetchall()
        ]
        prices = _prices(LedgerReader(database.engine("reader")), held, run.basis.currency)
        unquoted = [position.symbol for position in held if position.symbol not in prices]
        prices.update(Conversion(connection, run.basis.currency).latest(unquoted))
        priced = [(position, prices[position.symbol]) for position in held if position.symbol in prices]
        connection.cursor().executemany(KEEP, [_cells(position, price, run.run_id, user_id) for position, price in priced])
        unpriced = [position for position in held if position.symbol not in prices]
        found = [missing_price(position.symbol, position.currency, position.qty) for position in unpriced]
        found += [_stale(position, price) for position, price in priced if now - price.observed_at > STALE_AFTER]
        context = ExceptionLog(connection, user_id, method, run.basis.currency, run.run_id)
        for exception in found:
            context.found(exception)
        context.valued()
        context.keep()
        return Valuation(run.run_id, len(priced), tuple(position.symbol for position in unpriced))


def _prices(reader: LedgerReader, held: Iterable[_Held], currency: str) -> dict[str, Price]:
    """Return the newest price of each held coin; of two sources at the same instant, the first by name."""
    prices: dict[str, Price] = {}
    wanted = [position.symbol for position in held]
    if not wanted:
        return prices
    for quote in sorted(reader.latest_quotes(wanted, currency), key=lambda quote: quote["source"]):
        price, known = price_of(quote), prices.get(quote["symbol"])
        if price is not None and (known is None or price.observed_at > known.observed_at):
            prices[quote["symbol"]] = price
    return prices


def _cells(position: _Held, price: Price, run_id: int, user_id: str) -> tuple[Any, ...]:
    value = market_value(position.qty, price.units)
    amounts = map(text_of, (price.units, position.qty, value, value - position.cost))
    return position.position_id, run_id, user_id, price.source, price.observed_at, *amounts


def _stale(position: _Held, price: Price) -> PnlException:
    message = f"{position.symbol} is valued at a quote of {price.source} from {price.observed_at.isoformat()}"
    return PnlException("stale_price", position.symbol, None, position.qty, message)
