"""A position at the end of each UTC day, valued at the day's last quote; a day that was restated gets a new version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from omc_pipeline.pnl.amounts import market_value, text_of
from omc_pipeline.pnl.policy import Method
from omc_pipeline.positions.conversion import Conversion
from omc_pipeline.positions.prices import Price, price_of
from omc_pipeline.positions.reporting import reporting_of
from omc_pipeline.positions.run import run_of_user
from omc_pipeline.positions.sums import Sums, sums_of
from omc_pipeline.positions.write import TableWriter

if TYPE_CHECKING:
    import psycopg

    from omc_infra.postgres.database import Database

_DAY = timedelta(days=1)
POSITIONS = """
SELECT p.position_id, p.symbol, p.currency, least(
    (SELECT max(s.day) + 1 FROM pnl.snapshot s WHERE s.position_id = p.position_id),
    (SELECT min(d.day) FROM pnl.daily d WHERE d.position_id = p.position_id AND d.run_id > coalesce(
        (SELECT max(s.run_id) FROM pnl.snapshot s WHERE s.position_id = p.position_id), 0))
) FROM pnl.position p WHERE p.user_id = %s AND p.method = %s AND p.currency = %s ORDER BY p.symbol
"""
_SUM = ", ".join(f"sum({name}){'::bigint' if name == 'trades' else ''}" for name in Sums._fields)
BEFORE = f"SELECT {_SUM}, max(run_id) FROM pnl.daily WHERE position_id = %s AND day < %s HAVING count(*) > 0"
DAYS = f"SELECT day, {_SUM}, max(run_id) FROM pnl.daily WHERE position_id = %s AND day >= %s AND day < %s GROUP BY day ORDER BY day"
VERSIONS = "SELECT day, max(version) FROM pnl.snapshot WHERE position_id = %s AND day >= %s GROUP BY 1"
LAST_QUOTES = """
SELECT need.number, q.source, q.observed_at, q.bid, q.ask, q.last
FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS need (midnight, number) CROSS JOIN LATERAL (
    SELECT * FROM exchange.quote WHERE symbol = %s AND currency = %s AND observed_at < need.midnight
    ORDER BY observed_at DESC, source, version DESC LIMIT 1
) q
"""
COLUMNS = """position_id, day, version, run_id, user_id, qty, open_cost, realized, income, price, price_source, price_observed_at,
    value, unrealized"""


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Numbers of position days written anew, and again because they were restated."""

    added: int
    restated: int


def snapshot_positions(database: Database, user_id: str, until: date, method: Method = "fifo", currency: str | None = None) -> Snapshots:
    """Write every day before ``until`` that is missing or was restated since, of a user's positions; nothing twice.

    A day on which a coin was neither held nor traded has no row. Without a price up to then a value is unknown, not zero.

    Raises:
        BadInputError: The user doesn't report in the currency.
    """
    added = restated = 0
    with run_of_user(database, user_id) as connection:
        writer = TableWriter(connection, "snapshot", COLUMNS)
        reported = reporting_of(connection, user_id, currency).currency
        for position_id, symbol, held_in, since in connection.execute(POSITIONS, (user_id, method, reported)).fetchall():
            if since is None or since >= until:
                continue
            versions = dict(connection.execute(VERSIONS, (position_id, since)).fetchall())
            rows = list(_days(connection, position_id, since, until))
            prices = _prices(connection, symbol, held_in, [day for day, sums, _ in rows if sums.qty])
            writer.add(_cells(position_id, user_id, versions, prices, rows))
            restated += sum(day in versions for day, _, _ in rows)
            added += sum(day not in versions for day, _, _ in rows)
        writer.flush()
    return Snapshots(added, restated)


def _days(connection: psycopg.Connection[Any], position_id: int, since: date, until: date) -> Iterator[tuple[date, Sums, int]]:
    """Return the sums up to the end of each day on which something was held or happened, and the run that told them last."""
    before = connection.execute(BEFORE, (position_id, since)).fetchone()
    sums, run = (Sums(), 0) if before is None else (sums_of(before[:-1]), before[-1])
    happened = {day: (sums_of(rest[:-1]), rest[-1]) for day, *rest in connection.execute(DAYS, (position_id, since, until))}
    for day in (since + _DAY * number for number in range((until - since).days)):
        if day in happened:
            sums, run = sums.plus(happened[day][0]), max(run, happened[day][1])
        if sums.qty or day in happened:
            yield day, sums, run


def _prices(connection: psycopg.Connection[Any], symbol: str, currency: str, days: Sequence[date]) -> dict[date, Price]:
    midnights = [datetime.combine(day + _DAY, time(), UTC) for day in days]
    found = {}
    for number, source, at, bid, ask, last in connection.execute(LAST_QUOTES, (midnights, symbol, currency)) if days else ():
        price = price_of({"bid": bid, "ask": ask, "last": last, "source": source, "observed_at": at})
        if price is not None:
            found[days[number - 1]] = price
    unquoted = [(symbol, midnight) for day, midnight in zip(days, midnights, strict=True) if day not in found]
    for (_, midnight), price in Conversion(connection, currency).before(unquoted).items():
        found[(midnight - _DAY).date()] = price
    return found


def _cells(
    position_id: int, user_id: str, versions: Mapping[date, int], prices: Mapping[date, Price], rows: Sequence[tuple[date, Sums, int]]
) -> Iterator[tuple[Any, ...]]:
    for day, sums, run in rows:
        price = prices.get(day)
        value = 0 if not sums.qty else None if price is None else market_value(sums.qty, price.units)
        realized = sums.proceeds - sums.cost - sums.fees
        amounts = map(text_of, (sums.qty, sums.open_cost, realized, sums.income))
        marked = (None, None, None) if price is None else (text_of(price.units), price.source, price.observed_at)
        worth = (None, None) if value is None else (text_of(value), text_of(value - sums.open_cost))
        yield position_id, day, versions.get(day, 0) + 1, run, user_id, *amounts, *marked, *worth
