"""The kept rows of one user as the record that reports are made of; the one place where a report meets the tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from omc_infra.errors import BadInputError
from omc_pipeline.ledgers.pairs import left_out
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.pnl.amounts import exact_units, product, rounded_units
from omc_pipeline.pnl.policy import Method
from omc_pipeline.pnl.report.periods import Window
from omc_pipeline.pnl.report.record import FillRow, MatchRow, OpenLotRow, PricePoint, Record, with_own_trades
from omc_pipeline.pnl.result import PnlException
from omc_pipeline.pnl.trade import Trade
from omc_pipeline.positions.basis import RunRow, required_run
from omc_pipeline.positions.history import EXCEPTIONS, LIVE_MATCHES, OPEN_LOTS, settled_trades
from omc_pipeline.positions.prices import price_of

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

MARKS = """
SELECT DISTINCT ON (p.symbol) p.symbol, v.price_observed_at, v.price, v.price_source
FROM pnl.position p JOIN pnl.valuation v USING (position_id)
WHERE p.user_id = %(user)s AND p.method = %(method)s AND p.currency = %(currency)s AND p.qty > 0
ORDER BY p.symbol, v.price_observed_at DESC, v.run_id DESC, v.valuation_id DESC
"""
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


class _Kept(NamedTuple):
    matches: list[MatchRow]
    lots: list[OpenLotRow]
    exceptions: list[PnlException]
    marks: dict[str, PricePoint]


def read_record(
    database: Database,
    user_id: str,
    method: Method = "fifo",
    currency: str | None = None,
    window: Window | None = None,
    zone: tzinfo = UTC,
) -> Record:
    """Read a user's positions by a method, the trades they were made of, and the prices that follow them from day to day.

    Fills that came in after the last run are left out, and reported as ``not_computed``.

    Args:
        database: Where it is kept.
        user_id: Whose.
        method: Which of the user's positions.
        currency: That of the run, or None.
        window: Prices just before its bounds are read, too.
        zone: Whose midnights end a day.

    Raises:
        BadInputError: No run yet, or it is in another currency.
    """
    from psycopg import IsolationLevel

    with database.connect("reader") as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.execute("SET LOCAL TIME ZONE 'UTC'")
        run = _run_in(connection, user_id, method, currency)
        basis = run.basis
        duplicates = left_out(connection, user_id)
        told = LedgerReader(database.engine("reader"), user_id=user_id).fills(user_id)
        told = [fill for fill in told if (fill["account_id"], fill["fill_id"]) not in duplicates]
        late = {fill["fill_id"] for fill in told if run.known_at is None or fill["recorded_at"] > run.known_at}
        trades = [trade for trade in settled_trades(connection, user_id, basis) if not _is_of(trade.id, late)]
        symbols = sorted({trade.symbol for trade in trades})
        quotes = _quotes(connection, {"symbols": symbols, "currency": basis.currency, "zone": str(zone)}, window or Window())
        kept = _kept(connection, {"user": user_id, "method": method, "currency": basis.currency})
    executed = _executed([fill for fill in told if fill["fill_id"] not in late], trades, basis.currency)
    return Record(
        user=user_id,
        profile=database.profile,
        method=method,
        fee_policy=basis.fee_policy,
        oversell_policy=basis.oversell_policy,
        currency=basis.currency,
        trades=trades,
        matches=kept.matches,
        open_lots=kept.lots,
        fills=executed,
        prices=with_own_trades(quotes, executed),
        marks=kept.marks,
        exceptions=[*kept.exceptions, *_not_computed(late)],
    )


def _run_in(connection: Any, user_id: str, method: Method, currency: str | None) -> RunRow:
    run = required_run(connection, user_id, method)
    if currency not in (None, run.basis.currency):
        raise BadInputError(f"user {user_id!r} has positions by {method} in {run.basis.currency}, none in {currency}")
    return run


def _kept(connection: Any, bound: Mapping[str, Any]) -> _Kept:
    marks = connection.execute(MARKS, bound)
    return _Kept(
        matches=[_match(row) for row in connection.execute(LIVE_MATCHES, bound)],
        lots=[_open_lot(row) for row in connection.execute(OPEN_LOTS, bound)],
        exceptions=[_exception(row) for row in connection.execute(EXCEPTIONS, bound)],
        marks={symbol: PricePoint(_utc(at), exact_units(price), source) for symbol, at, price, source in marks},
    )


def _is_of(trade_id: str, fills: Collection[str]) -> bool:
    """Answer whether a trade is of one of the fills; that of a fee bears the fill's id and a suffix."""
    return trade_id in fills or trade_id.rpartition(":")[0] in fills


def _not_computed(late: Collection[str]) -> list[PnlException]:
    if not late:
        return []
    message = f"fills that came in after the last run are not in this report: {len(late)}; compute them with `omc pnl positions`"
    return [PnlException("not_computed", "", min(late), None, message)]


def _quotes(connection: Any, bound: Mapping[str, Any], window: Window) -> dict[str, list[PricePoint]]:
    """Answer the last quote of each day of the zone, and the last one before each bound of the window."""
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


def _match(row: Sequence[Any]) -> MatchRow:
    symbol, sell, lot, qty, cost, proceeds, acquired_at, disposed_at, rule, bought_by, sold_by, account = row
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
        bought_by=bought_by,
        sold_by=sold_by,
        account=account,
    )


def _open_lot(row: Sequence[Any]) -> OpenLotRow:
    symbol, lot, qty, cost, acquired_at = row
    return OpenLotRow(symbol, lot, exact_units(qty), exact_units(cost), None if acquired_at is None else _utc(acquired_at))


def _exception(row: Sequence[Any]) -> PnlException:
    kind, symbol, fill, qty, message = row
    return PnlException(kind, symbol, fill, None if qty is None else exact_units(qty), message)


def _executed(told: Iterable[Mapping[str, Any]], trades: Iterable[Trade], currency: str) -> list[FillRow]:
    """Answer executions; one that was not in the currency counts as it was settled, and its fee lies in that."""
    settled = {trade.id: trade.money for trade in trades}
    rows = []
    for fill in told:
        if fill["kind"] != "trade":
            continue
        amount, fee, price = settled.get(fill["fill_id"], 0), Decimal(0), Decimal(0)
        if fill["currency"] == currency and fill["price"] is not None and fill["quote_amount"] is not None:
            amount, price = rounded_units(fill["quote_amount"]), fill["price"]
            if fill["fee_currency"] == fill["symbol"]:
                fee = product(fill["fee"], price)
        if fill["fee_currency"] == currency:
            fee = fill["fee"]
        rows.append(FillRow(fill["symbol"], _utc(fill["executed_at"]), rounded_units(price), amount, rounded_units(fee)))
    return rows


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
