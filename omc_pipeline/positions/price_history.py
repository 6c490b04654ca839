"""What coins were worth from day to day: the last quote of each day, and before the first one what they cost in other money."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from omc_pipeline.pnl.report.periods import Window, day_ends
from omc_pipeline.pnl.report.record import PricePoint
from omc_pipeline.positions.conversion import Conversion
from omc_pipeline.positions.prices import Price, price_of

if TYPE_CHECKING:
    import psycopg

LAST_QUOTES_OF_DAYS = """
SELECT DISTINCT ON (symbol, date_trunc('day', observed_at AT TIME ZONE %(zone)s)) symbol, source, observed_at, bid, ask, last
FROM exchange.quote WHERE symbol = ANY(%(symbols)s) AND currency = %(currency)s AND recorded_at <= %(known_at)s
ORDER BY symbol, date_trunc('day', observed_at AT TIME ZONE %(zone)s), observed_at DESC, source, version DESC
"""
LAST_QUOTES_BEFORE = """
SELECT DISTINCT ON (symbol) symbol, source, observed_at, bid, ask, last
FROM exchange.quote WHERE symbol = ANY(%(symbols)s) AND currency = %(currency)s AND observed_at < %(before)s AND recorded_at <= %(known_at)s
ORDER BY symbol, observed_at DESC, source, version DESC
"""
_QUOTE = ("symbol", "source", "observed_at", "bid", "ask", "last")


def price_history(
    connection: psycopg.Connection[Any],
    held_since: Mapping[str, datetime],
    currency: str,
    known_at: datetime,
    window: Window,
    zone: tzinfo,
) -> dict[str, list[PricePoint]]:
    """Return the prices of coins in a currency: one for each day of a zone, and one just before each bound of a window.

    Args:
        connection: To read by.
        held_since: The coins, each with the time of its first trade.
        currency: Of the prices.
        known_at: Rows recorded later are not seen.
        window: Whose bounds are looked at.
        zone: Whose midnights end a day.
    """
    bound = {"symbols": sorted(held_since), "currency": currency, "known_at": known_at, "zone": str(zone)}
    bounds = [before for before in (window.start, window.end) if before is not None]
    rows = connection.execute(LAST_QUOTES_OF_DAYS, bound).fetchall()
    for before in bounds:
        rows += connection.execute(LAST_QUOTES_BEFORE, {**bound, "before": before}).fetchall()
    points: dict[str, list[PricePoint]] = {}
    for row in rows:
        quote = dict(zip(_QUOTE, row, strict=True))
        price = price_of(quote)
        if price is not None:
            points.setdefault(quote["symbol"], []).append(_point(price))
    conversion = Conversion(connection, currency, known_at)
    needs = _unquoted(held_since, points, conversion.first_recorded(sorted(held_since)), known_at, zone, bounds)
    for symbol, point in {(symbol, _point(price)) for (symbol, _), price in conversion.before(needs).items()}:
        points.setdefault(symbol, []).append(point)
    return points


def _unquoted(
    held_since: Mapping[str, datetime],
    quoted: Mapping[str, Sequence[PricePoint]],
    recorded_since: Mapping[str, datetime],
    known_at: datetime,
    zone: tzinfo,
    bounds: Iterable[datetime],
) -> list[tuple[str, datetime]]:
    """Return the ends of days, and the bounds, before which a coin that was held had no quote but a price in other money."""
    needs = []
    for symbol, first_recorded in sorted(recorded_since.items()):
        start = max(first_recorded, held_since[symbol])
        first_quote = min((point.at for point in quoted.get(symbol, ())), default=known_at)
        ends = [*day_ends(start, first_quote, zone), *bounds] if start < first_quote else []
        needs += [(symbol, end) for end in ends if start < end and (end <= first_quote or symbol not in quoted)]
    return needs


def _point(price: Price) -> PricePoint:
    return PricePoint(price.observed_at.astimezone(UTC), price.units, price.source)
