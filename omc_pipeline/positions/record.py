"""The kept rows of one user as the record that reports are made of; the one place where a report meets the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from omc_infra.errors import BadInputError
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.pnl.accounts import CARRIED
from omc_pipeline.pnl.amounts import exact_units, product, rounded_units
from omc_pipeline.pnl.policy import Method
from omc_pipeline.pnl.report.periods import Window
from omc_pipeline.pnl.report.record import FillRow, MatchRow, OpenLotRow, PricePoint, Record, with_own_trades
from omc_pipeline.pnl.result import PnlException
from omc_pipeline.positions.basis import required_run
from omc_pipeline.positions.history import EXCEPTIONS, LIVE_MATCHES, OPEN_LOTS, settled_trades
from omc_pipeline.positions.prices import price_of
from omc_pipeline.positions.summary import Summary, summary

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

LAST_QUOTES_OF_DAYS = """
SELECT DISTINCT ON (symbol, date_trunc('day', observed_at AT TIME ZONE %(zone)s)) symbol, source, observed_at, bid, ask, last
FROM exchange.quote WHERE symbol = ANY(%(symbols)s) AND currency = %(currency)s
ORDER BY symbol, date_trunc('day', observed_at AT TIME ZONE %(zone)s), observed_at DESC, source, version DESC
"""
LAST_QUOTES_BEFORE = """
SELECT DISTINCT ON (symbol) symbol, source, observed_at, bid, ask, last
FROM exchange.quote WHERE symbol = ANY(%(symbols)s) AND currency = %(currency)s AND observed_at < %(before)s
ORDER BY symbol, observed_at DESC, source, version DESC
"""
_QUOTE = ("symbol", "source", "observed_at", "bid", "ask", "last")


def read_record(
    database: Database,
    user_id: str,
    method: Method = "fifo",
    currency: str | None = None,
    window: Window | None = None,
    zone: tzinfo = UTC,
) -> Record:
    """Read a user's latest run by a method, the fills it was made of, and the prices that follow it from day to day.

    Args:
        database: Where it is kept.
        user_id: Whose.
        method: Which of the user's runs.
        currency: Which positions; may be left out where all are in one.
        window: Prices just before its bounds are read, too.
        zone: Whose midnights end a day.

    Raises:
        BadInputError: No run yet, positions in several currencies and none named, or none in the one that is.
    """
    total = summary(database, user_id, method, currency)
    if currency and not total.by_symbol:
        raise BadInputError(f"user {user_id!r} has no positions in {currency}")
    fills = [row for row in LedgerReader(database.engine("reader"), user_id=user_id).fills(user_id) if row["currency"] == total.currency]
    with database.connect("reader") as connection:
        basis = required_run(connection, user_id, method).basis
        connection.execute("SET TIME ZONE 'UTC'")
        trades = settled_trades(connection, user_id, basis)
        decided = {trade.id: trade.algorithm for trade in trades}
        bound = {"user": user_id, "method": method, "currency": total.currency}
        matches = [_match(row[:9], decided) for row in connection.execute(LIVE_MATCHES, bound)]
        lots = [_open_lot(row) for row in connection.execute(OPEN_LOTS, bound)]
        exceptions = [_exception(row) for row in connection.execute(EXCEPTIONS, bound)]
        quotes = _quotes(connection, total, window or Window(), zone)
    executed = [_fill(row) for row in fills]
    return Record(
        user=user_id,
        profile=database.profile,
        method=method,
        fee_policy=basis.fee_policy,
        oversell_policy=basis.oversell_policy,
        currency=total.currency,
        trades=trades,
        matches=matches,
        open_lots=lots,
        fills=executed,
        prices=with_own_trades(quotes, executed),
        marks=_marks(total),
        exceptions=exceptions,
    )


def _marks(total: Summary) -> dict[str, PricePoint]:
    return {
        position.symbol: PricePoint(position.price_observed_at.astimezone(UTC), exact_units(position.price), position.price_source or "")
        for position in total.by_symbol
        if position.price is not None and position.price_observed_at is not None
    }


def _quotes(connection: Any, total: Summary, window: Window, zone: tzinfo) -> dict[str, list[PricePoint]]:
    """Answer the last quote of each day of the zone, and the last one before each bound of the window."""
    bound = {"symbols": [position.symbol for position in total.by_symbol], "currency": total.currency, "zone": str(zone)}
    rows = connection.execute(LAST_QUOTES_OF_DAYS, bound).fetchall()
    for before in (window.start, window.end):
        if before is not None:
            rows += connection.execute(LAST_QUOTES_BEFORE, {**bound, "before": before}).fetchall()
    points: dict[str, list[PricePoint]] = {}
    for row in rows:
        quote = dict(zip(_QUOTE, row, strict=True))
        price = price_of(quote)
        if price is not None:
            points.setdefault(quote["symbol"], []).append(PricePoint(_utc(price.observed_at), price.units, price.source))
    return points


def _match(row: Sequence[Any], decided: Mapping[str, str | None]) -> MatchRow:
    symbol, sell, lot, qty, cost, proceeds, acquired_at, disposed_at, rule = row
    return MatchRow(
        symbol=symbol,
        sell=sell,
        lot=lot,
        qty=exact_units(qty),
        cost=exact_units(cost),
        proceeds=exact_units(proceeds),
        acquired_at=None if acquired_at is None else _utc(acquired_at),
        disposed_at=_utc(disposed_at),
        rule=rule,
        bought_by=decided.get(lot.partition(CARRIED)[0]) if lot else None,
        sold_by=decided.get(sell),
    )


def _open_lot(row: Sequence[Any]) -> OpenLotRow:
    symbol, lot, qty, cost, acquired_at = row
    return OpenLotRow(symbol, lot, exact_units(qty), exact_units(cost), None if acquired_at is None else _utc(acquired_at))


def _exception(row: Sequence[Any]) -> PnlException:
    kind, symbol, fill, qty, message = row
    return PnlException(kind, symbol, fill, None if qty is None else exact_units(qty), message)


def _fill(row: Mapping[str, Any]) -> FillRow:
    fee: Decimal = row["fee"] if row["fee_currency"] == row["currency"] else Decimal(0)
    if row["fee_currency"] == row["symbol"] != row["currency"] and row["price"] is not None:
        fee = product(row["fee"], row["price"])
    price, amount = (Decimal(0) if row[name] is None else row[name] for name in ("price", "quote_amount"))
    return FillRow(row["symbol"], _utc(row["executed_at"]), rounded_units(price), rounded_units(amount), rounded_units(fee))


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
