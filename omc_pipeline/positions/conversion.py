"""Prices of coins in a currency that nobody quotes them in: what they cost in other money or in dollars, times a rate of that time.

A quote in the currency itself always wins, whatever its age; these are for coins that have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from omc_pipeline.pnl.amounts import UNIT, exact_units, rounded_quotient
from omc_pipeline.positions.fills import END
from omc_pipeline.positions.known import Need
from omc_pipeline.positions.prices import Price, price_of
from omc_pipeline.positions.triangulation import DOLLAR, Triangulation

if TYPE_CHECKING:
    import psycopg

PREFERRED_FOR = timedelta(days=1)
"""A price that needs no rate is taken though another is newer by so much."""
LAST_QUOTES = """
SELECT need.number, q.source, q.symbol, q.currency, q.observed_at, q.version, q.bid, q.ask, q.last
FROM unnest(%(symbols)s::text[], %(currencies)s::text[], %(times)s::timestamptz[]) WITH ORDINALITY
    AS need (symbol, currency, before, number)
CROSS JOIN LATERAL (
    SELECT * FROM exchange.quote WHERE symbol = need.symbol AND currency = need.currency AND recorded_at <= %(known_at)s
    AND observed_at < need.before ORDER BY observed_at DESC, source, version DESC LIMIT 1
) AS q
"""
LAST_DOLLAR_PRICES = """
SELECT need.number, p.source, p.symbol, p.observed_at, p.version, p.price_usd
FROM unnest(%(symbols)s::text[], %(times)s::timestamptz[]) WITH ORDINALITY AS need (symbol, before, number)
CROSS JOIN LATERAL (
    SELECT * FROM glass.coin_price WHERE symbol = need.symbol AND recorded_at <= %(known_at)s
    AND observed_at < need.before ORDER BY observed_at DESC, source, version DESC LIMIT 1
) AS p
"""


class _Reported(NamedTuple):
    """A price in some money."""

    units: int
    money: str
    origin: str
    at: datetime


class Conversion:
    """Prices of coins in one currency, converted from what they cost in others.

    Args:
        connection: To read by.
        currency: That prices are wanted in.
        known_at: Rows recorded later are not seen.
    """

    def __init__(self, connection: psycopg.Connection[Any], currency: str, known_at: datetime = END) -> None:
        self._connection, self._currency, self._known_at = connection, currency, known_at
        self._triangulation = Triangulation(connection, currency, known_at)

    def latest(self, symbols: Sequence[str]) -> dict[str, Price]:
        """Return the newest price of each coin; of coins that have none, or whose money has no rate, nothing."""
        return {symbol: price for (symbol, _), price in self.before([(symbol, END) for symbol in symbols]).items()}

    def before(self, needs: Sequence[Need]) -> dict[Need, Price]:
        """Return the newest price of each coin before an instant, whatever its age, at the rate of its own time."""
        details = self._description(needs)
        wanted = {(one.money, one.at) for found in details.values() for one in found if one.money != self._currency}
        rates = self._triangulation.rates(sorted(wanted))
        prices: dict[Need, Price] = {}
        for need, found in details.items():
            newest = max(one.at for one in found)
            found.sort(key=lambda one: (one.money == self._currency and newest - one.at <= PREFERRED_FOR, one.at), reverse=True)
            for one in found:
                if one.money == self._currency:
                    prices[need] = Price(one.units, one.origin, one.at)
                    break
                rate = rates.get((one.money, one.at))
                if rate is not None:
                    units = rounded_quotient(one.units * rate.units, UNIT)
                    prices[need] = Price(units, f"{one.origin} x {rate.origin}", one.at)
                    break
        return prices

    def first_recorded(self, symbols: Sequence[str]) -> Mapping[str, datetime]:
        """Return when each coin first had a price in other money or in dollars; one that never had any is left out."""
        firsts = dict(self._connection.execute(
            "SELECT symbol, first FROM unnest(%s::text[]) AS need (symbol),"
            " LATERAL (SELECT min(observed_at) AS first FROM glass.coin_price p WHERE p.symbol = need.symbol) p WHERE first IS NOT NULL",
            (list(symbols),),
        ).fetchall())  # fmt: skip
        pairs = [(symbol, money) for symbol, moneys in self._triangulation.quoted_in(set(symbols)).items() for money in moneys]
        for symbol, first in self._connection.execute(
            "SELECT symbol, (SELECT min(observed_at) FROM exchange.quote q WHERE q.symbol = need.symbol AND q.currency = need.currency)"
            " FROM unnest(%s::text[], %s::text[]) AS need (symbol, currency)",
            ([symbol for symbol, _ in pairs], [money for _, money in pairs]),
        ):
            firsts[symbol] = min(first, firsts.get(symbol, first))
        return firsts

    def _description(self, needs: Sequence[Need]) -> dict[Need, list[_Reported]]:
        """Return what the ledgers tell of each coin, in whatever money."""
        details: dict[Need, list[_Reported]] = {}
        if not needs:
            return details
        symbols, times = map(list, zip(*needs, strict=True))
        dollars = self._connection.execute(LAST_DOLLAR_PRICES, {"symbols": symbols, "times": times, "known_at": self._known_at})
        for number, source, symbol, at, version, price in dollars:
            if price > 0:
                origin = f"glass.coin_price {source} {symbol} {at.isoformat()} v{version}"
                details.setdefault(needs[number - 1], []).append(_Reported(exact_units(price), DOLLAR, origin, at))
        moneys = self._triangulation.quoted_in(set(symbols))
        tried = [(symbol, money, at) for symbol, at in needs for money in moneys.get(symbol, ())]
        for number, source, symbol, money, at, version, bid, ask, last in self._quotes(tried):
            price = price_of({"bid": bid, "ask": ask, "last": last, "source": source, "observed_at": at})
            if price is not None and price.units > 0:
                origin = f"exchange.quote {source} {symbol}/{money} {at.isoformat()} v{version}"
                details.setdefault((symbol, tried[number - 1][2]), []).append(_Reported(price.units, money, origin, at))
        return details

    def _quotes(self, tried: Sequence[tuple[str, str, datetime]]) -> Sequence[Any]:
        if not tried:
            return ()
        symbols, currencies, times = map(list, zip(*tried, strict=True))
        bound = {"symbols": symbols, "currencies": currencies, "times": times, "known_at": self._known_at}
        return self._connection.execute(LAST_QUOTES, bound).fetchall()
