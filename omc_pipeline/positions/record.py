"""The kept rows of one user as the record that reports are made of; the one place where a report meets the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from omc_pipeline.pnl.amounts import exact_units, product, rounded_units
from omc_pipeline.pnl.fill import FIAT, Fill
from omc_pipeline.pnl.policy import Method
from omc_pipeline.pnl.report.periods import Window
from omc_pipeline.pnl.report.record import FillRow, MatchRow, OpenLotRow, PricePoint, Record, RunKnew, with_own_trades
from omc_pipeline.pnl.result import PnlException
from omc_pipeline.positions.basis import RunRow, required_run
from omc_pipeline.positions.changes import fills_since as fills_since_run
from omc_pipeline.positions.changes import ledger_at
from omc_pipeline.positions.history import EXCEPTIONS, LIVE_MATCHES, OPEN_LOTS, History, history_of
from omc_pipeline.positions.price_history import price_history
from omc_pipeline.positions.reporting import reporting_of

if TYPE_CHECKING:
    import psycopg

    from omc_infra.postgres.database import Database

MARKS = """
SELECT DISTINCT ON (p.symbol) p.symbol, v.price_observed_at, v.price, v.price_source, v.recorded_at
FROM pnl.position p JOIN pnl.valuation v USING (position_id)
WHERE p.user_id = %(user)s AND p.method = %(method)s AND p.currency = %(currency)s AND p.qty > 0
ORDER BY p.symbol, v.price_observed_at DESC, v.run_id DESC, v.valuation_id DESC
"""


class _Kept(NamedTuple):
    matches: list[MatchRow]
    lots: list[OpenLotRow]
    exceptions: list[PnlException]
    marks: dict[str, PricePoint]
    priced_at: datetime


def read_record(
    database: Database,
    user_id: str,
    method: Method = "fifo",
    currency: str | None = None,
    window: Window | Callable[[str], Window] | None = None,
    zone: tzinfo = UTC,
) -> Record:
    """Read a user's positions by a method as their last run knew them, and the prices that follow them from day to day.

    Fills and corrections that were recorded since are left out and counted in a ``not_computed`` exception. Quotes are those known
    when the positions were last valued, or at the end of the run.

    Args:
        database: Where it is kept.
        user_id: Whose.
        method: Which of the user's positions.
        currency: One that the user reports in; None: the default.
        window: Prices just before its bounds are read, too; a function gets the user's tax zone.
        zone: Whose midnights end a day.

    Raises:
        BadInputError: No run in the currency yet, or the user doesn't report in it.
    """
    with _one_state(database) as connection:
        chosen = reporting_of(connection, user_id, currency)
        run = required_run(connection, user_id, method, chosen.currency)
        history = history_of(connection, user_id, run)
        kept = _kept(connection, {"user": user_id, "method": method, "currency": chosen.currency}, run.recorded_at)
        bounds = window(chosen.tax_zone) if callable(window) else window or Window()
        since = {trade.symbol: trade.time for trade in reversed(history.trades)}
        quotes = price_history(connection, since, chosen.currency, kept.priced_at, bounds, zone)
        fills_since, newer = fills_since_run(connection, user_id, run.known_at)
        is_whole = ledger_at(connection, user_id, run.known_at) == (run.fills, run.digest)
    executed = _executed(history, chosen.currency)
    return replace(
        _record(database, user_id, run, history, kept),
        fills=executed,
        prices=with_own_trades(quotes, executed),
        marks=kept.marks,
        exceptions=[*kept.exceptions, *_not_computed(user_id, run, fills_since, newer), *_not_whole(run, is_whole=is_whole)],
        tax_zone=chosen.tax_zone,
        knew=RunKnew(run.run_id, run.known_at, f"{run.digest:064x}", run.fills, kept.priced_at, fills_since),
    )


def read_unpriced(database: Database, user_id: str, method: Method = "fifo", currency: str | None = None) -> Record:
    """Read a user's positions as their last run knew them, without any price: what is held has no value.

    Raises:
        BadInputError: No run in the currency yet, or the user doesn't report in it.
    """
    with _one_state(database) as connection:
        run = required_run(connection, user_id, method, currency)
        history = history_of(connection, user_id, run)
        kept = _kept(connection, {"user": user_id, "method": method, "currency": run.basis.currency}, run.recorded_at)
    return _record(database, user_id, run, history, kept)


@contextmanager
def _one_state(database: Database) -> Iterator[psycopg.Connection[Any]]:
    from psycopg import IsolationLevel

    with database.connect("reader") as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.execute("SET LOCAL TIME ZONE 'UTC'")
        yield connection


def _record(database: Database, user_id: str, run: RunRow, history: History, kept: _Kept) -> Record:
    basis = run.basis
    return Record(
        user=user_id,
        profile=database.profile,
        method=basis.method,
        fee_policy=basis.fee_policy,
        oversell_policy=basis.oversell_policy,
        currency=basis.currency,
        trades=history.trades,
        matches=kept.matches,
        open_lots=kept.lots,
    )


def _kept(connection: Any, bound: Mapping[str, Any], computed_at: datetime) -> _Kept:
    marks = connection.execute(MARKS, bound).fetchall()
    return _Kept(
        matches=[_match(row) for row in connection.execute(LIVE_MATCHES, bound)],
        lots=[_open_lot(row) for row in connection.execute(OPEN_LOTS, bound)],
        exceptions=[_exception(row) for row in connection.execute(EXCEPTIONS, bound)],
        marks={symbol: PricePoint(_utc(at), exact_units(price), source) for symbol, at, price, source, _ in marks},
        priced_at=max([computed_at, *(valued_at for *_, valued_at in marks)]),
    )


def _not_computed(user_id: str, run: RunRow, count: int, fill: str | None) -> list[PnlException]:
    if not count:
        return []
    command = f"omc pnl positions --user {user_id} --method {run.basis.method} --currency {run.basis.currency}"
    fills = "1 fill" if count == 1 else f"{count} fills"
    return [PnlException("not_computed", "", fill, None, f"{fills} recorded since; run `{command}`")]


def _not_whole(run: RunRow, *, is_whole: bool) -> list[PnlException]:
    """Report that the ledger no longer holds what a run knew, as after rows were taken out of it."""
    if is_whole:
        return []
    message = f"the ledger no longer holds the {run.fills} fills that run {run.run_id} knew; don't rely on these figures"
    return [PnlException("ledger_changed", "", None, None, message)]


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


def _executed(history: History, currency: str) -> list[FillRow]:
    """Return executions in the currency: one in other money at the rate it was settled by, one for a coin as it was settled."""
    settled = {trade.id: trade.money for trade in history.trades}
    rows = []
    for fill in history.fills:
        if fill.kind != "trade":
            continue
        amount, price, fee, details = settled.get(fill.id, 0), Decimal(0), Decimal(0), fill.fee or Decimal(0)
        rate = _rate(history, fill, fill.currency, currency) if fill.currency in (currency, *FIAT) else None
        if rate is not None and fill.price is not None and fill.amount is not None:
            amount, price = rounded_units(product(fill.amount, rate)), product(fill.price, rate)
            if fill.fee_currency == fill.symbol:
                fee = product(details, price)
        if fill.fee_currency in (currency, *FIAT):
            fee = product(details, _rate(history, fill, fill.fee_currency, currency) or Decimal(0))
        rows.append(FillRow(fill.symbol, _utc(fill.time), rounded_units(price), amount, rounded_units(fee)))
    return rows


def _rate(history: History, fill: Fill, money: str, currency: str) -> Decimal | None:
    """Return what money was worth when a fill was settled; None where the run did not know it."""
    if money == currency:
        return Decimal(1)
    rate = history.rates(fill, money)
    return None if rate is None else rate.value


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
