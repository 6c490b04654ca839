"""What one unit of a coin or of money was worth in a currency at a time, from the rows that the ledgers have.

The ways are tried in this order, each for what the ones before could not tell.

1. Money by the reference rates of a central bank.
2. A quote in the currency, or the inverse of a quote of the currency in other money.
3. A price in US dollars times what a dollar was worth in the currency.
4. Money in other money by way of a coin that is quoted in both.
5. A quote of a coin in other money times what that money was worth in the currency.

What a dollar was worth is a reference rate, a quote, the inverse of one, or what a coin cost in the currency over what it cost in
dollars. Such a bridge stands on two rows of at most an hour apart: a coin moves by per cents within a day, which would be taken for a
rate of exchange. Bridges are coins that many trade everywhere. A quote or price counts for a day; where no way leads there is no rate,
and nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from omc_pipeline.pnl.amounts import UNIT, exact_units, rounded_quotient
from omc_pipeline.pnl.fill import FIAT
from omc_pipeline.positions.fills import END
from omc_pipeline.positions.known import Known, Lookup, Need
from omc_pipeline.positions.prices import price_of
from omc_pipeline.positions.reference_rates import reference_rates

if TYPE_CHECKING:
    import psycopg

DOLLAR = "USD"
BRIDGES = ("BTC", "ETH")
"""Coins quoted everywhere: what one costs in two currencies says what they are worth in each other, where nobody quotes that."""
LEGS_APART = timedelta(hours=1)
"""Two rows make a bridge where no more lies between them; the check of the exchange ledger compares quotes and prices likewise."""
QUOTES = """
SELECT need.number, q.source, q.symbol, q.currency, q.observed_at, q.version, q.bid, q.ask, q.last
FROM unnest(%(symbols)s::text[], %(currencies)s::text[], %(times)s::timestamptz[]) WITH ORDINALITY AS need (symbol, currency, at, number)
CROSS JOIN LATERAL (
    SELECT * FROM exchange.quote WHERE symbol = need.symbol AND currency = need.currency AND recorded_at <= %(known_at)s
    AND observed_at <= need.at AND observed_at > need.at - interval '1 day' ORDER BY observed_at DESC, source, version DESC LIMIT 1
) AS q
"""
DOLLAR_PRICES = """
SELECT need.number, p.source, p.symbol, p.observed_at, p.version, p.price_usd
FROM unnest(%(symbols)s::text[], %(times)s::timestamptz[]) WITH ORDINALITY AS need (symbol, at, number)
CROSS JOIN LATERAL (
    SELECT * FROM glass.coin_price WHERE symbol = need.symbol AND recorded_at <= %(known_at)s
    AND observed_at <= need.at AND observed_at > need.at - interval '1 day' ORDER BY observed_at DESC, source, version DESC LIMIT 1
) AS p
"""
QUOTED_IN = """
WITH RECURSIVE pair AS (
    SELECT symbol, (SELECT min(currency) FROM exchange.quote q WHERE q.symbol = need.symbol) AS currency
    FROM unnest(%s::text[]) AS need (symbol)
    UNION ALL
    SELECT symbol, (SELECT min(currency) FROM exchange.quote q WHERE q.symbol = pair.symbol AND q.currency > pair.currency) FROM pair
    WHERE currency IS NOT NULL
)
SELECT symbol, currency FROM pair WHERE currency = ANY(%s) ORDER BY 1, 2
"""


class Triangulation:
    """Rates in one currency.

    Args:
        connection: To read by.
        currency: That rates are in.
        known_at: Rows recorded later are not seen.
    """

    def __init__(self, connection: psycopg.Connection[Any], currency: str, known_at: datetime = END) -> None:
        self._connection, self._currency, self._known_at = connection, currency, known_at
        self.routes: list[Lookup] = [self._by_reference, self._stated, self._by_dollar, self._by_coin, self._by_other_money]
        """In order of preference."""

    def rates(self, needs: Sequence[Need]) -> dict[Need, Known]:
        """Return the rates that are known; others are left out."""
        found: dict[Need, Known] = {}
        for route in self.routes:
            missing = [need for need in needs if need not in found]
            if missing:
                found.update(route(missing))
        return found

    def _by_reference(self, needs: Sequence[Need]) -> dict[Need, Known]:
        return reference_rates(self._connection, self._currency, needs, self._known_at)

    def _stated(self, needs: Sequence[Need]) -> dict[Need, Known]:
        return self._stated_in(self._currency, needs)

    def _by_dollar(self, needs: Sequence[Need]) -> dict[Need, Known]:
        dollars = self._dollars_in(self._currency, sorted({at for _, at in needs}))
        reachable = [(symbol, at) for symbol, at in needs if at in dollars]
        prices = self._in_dollars(reachable)
        return {need: _times(prices[need], dollars[need[1]]) for need in reachable if need in prices}

    def _in_dollars(self, needs: Sequence[Need]) -> dict[Need, Known]:
        """Return what coins and money were worth in dollars."""
        found = {need: Known(UNIT, "", need[1]) for need in needs if need[0] == DOLLAR}
        found.update(self._dollar_prices([need for need in needs if need[0] not in FIAT]))
        moneys = [need for need in needs if need not in found and need[0] in FIAT]
        for money in sorted({money for money, _ in moneys}):
            dollars = self._dollars_in(money, sorted({at for known, at in moneys if known == money}))
            found.update({(money, at): _inverse(rate) for at, rate in dollars.items()})
        return found

    def _dollars_in(self, currency: str, times: Sequence[datetime]) -> dict[datetime, Known]:
        """Return what a dollar was worth in a currency: by a reference rate, stated, or by way of a coin."""
        if currency == DOLLAR:
            return {at: Known(UNIT, "", at) for at in times}
        needs = [(DOLLAR, at) for at in times]
        found = reference_rates(self._connection, currency, needs, self._known_at)
        found.update(self._stated_in(currency, [need for need in needs if need not in found]))
        rates = {at: known for (_, at), known in found.items()}
        for bridge in BRIDGES:
            needs = [(bridge, at) for at in times if at not in rates]
            rates.update(_bridged(self._coins_in(currency, needs), self._dollar_prices(needs)))
        return rates

    def _by_coin(self, needs: Sequence[Need]) -> dict[Need, Known]:
        found: dict[Need, Known] = {}
        for money in sorted({symbol for symbol, _ in needs if symbol in FIAT}):
            for bridge in BRIDGES:
                wanted = [(bridge, at) for symbol, at in needs if symbol == money and (money, at) not in found]
                rates = _bridged(self._coins_in(self._currency, wanted), self._coins_in(money, wanted))
                found.update({(money, at): rate for at, rate in rates.items()})
        return found

    def _by_other_money(self, needs: Sequence[Need]) -> dict[Need, Known]:
        coins = [need for need in needs if need[0] not in FIAT]
        moneys = self.quoted_in({coin for coin, _ in coins})
        tried = [(coin, money, at) for coin, at in coins for money in moneys.get(coin, ())]
        quotes = self._quotes(tried)
        others = Triangulation(self._connection, self._currency, self._known_at)
        others.routes.pop()
        rates = others.rates(sorted({(tried[number][1], quote.at) for number, quote in quotes.items()}))
        found: dict[Need, Known] = {}
        for number, quote in quotes.items():
            coin, money, at = tried[number]
            rate = rates.get((money, quote.at))
            if rate is not None and ((coin, at) not in found or quote.at > found[coin, at].at):
                found[coin, at] = _times(quote, rate)._replace(at=quote.at)
        return found

    def quoted_in(self, coins: set[str]) -> dict[str, list[str]]:
        """Return the money that each coin was ever quoted in, other than the currency; reads one index entry for each."""
        moneys: dict[str, list[str]] = {}
        if coins:
            for coin, money in self._connection.execute(QUOTED_IN, (sorted(coins), sorted(FIAT - {self._currency}))):
                moneys.setdefault(coin, []).append(money)
        return moneys

    def _stated_in(self, currency: str, needs: Sequence[Need]) -> dict[Need, Known]:
        """Return quotes in a currency, and the inverse of its own quotes in other money."""
        found = self._coins_in(currency, needs)
        others = [need for need in needs if need not in found and need[0] in FIAT]
        for number, quote in self._quotes([(currency, money, at) for money, at in others]).items():
            found[others[number]] = _inverse(quote)
        return found

    def _coins_in(self, currency: str, needs: Sequence[Need]) -> dict[Need, Known]:
        return {needs[number]: known for number, known in self._quotes([(symbol, currency, at) for symbol, at in needs]).items()}

    def _quotes(self, needs: Sequence[tuple[str, str, datetime]]) -> dict[int, Known]:
        if not needs:
            return {}
        found = {}
        symbols, currencies, times = map(list, zip(*needs, strict=True))
        bound = {"symbols": symbols, "currencies": currencies, "times": times, "known_at": self._known_at}
        for number, source, symbol, currency, at, version, bid, ask, last in self._connection.execute(QUOTES, bound):
            price = price_of({"bid": bid, "ask": ask, "last": last, "source": source, "observed_at": at})
            if price is not None and price.units > 0:
                found[number - 1] = Known(price.units, f"exchange.quote {source} {symbol}/{currency} {at.isoformat()} v{version}", at)
        return found

    def _dollar_prices(self, needs: Sequence[Need]) -> dict[Need, Known]:
        if not needs:
            return {}
        symbols, times = map(list, zip(*needs, strict=True))
        rows = self._connection.execute(DOLLAR_PRICES, {"symbols": symbols, "times": times, "known_at": self._known_at})
        return {
            needs[number - 1]: Known(exact_units(price), f"glass.coin_price {source} {symbol} {at.isoformat()} v{version}", at)
            for number, source, symbol, at, version, price in rows
            if price > 0
        }


def _times(price: Known, rate: Known) -> Known:
    origin = " x ".join(text for text in (price.origin, rate.origin) if text)
    return Known(rounded_quotient(price.units * rate.units, UNIT), origin, min(price.at, rate.at))


def _inverse(rate: Known) -> Known:
    origin = f"1 / ({rate.origin})" if " / " in rate.origin else f"1 / {rate.origin}"
    return Known(rounded_quotient(UNIT * UNIT, rate.units), origin if rate.origin else "", rate.at)


def _bridged(here: Mapping[Need, Known], there: Mapping[Need, Known]) -> dict[datetime, Known]:
    """Divide what a coin costs here by what it costs there, where both rows are of about the same time."""
    rates = {}
    for need in here.keys() & there.keys():
        mine, theirs = here[need], there[need]
        if abs(mine.at - theirs.at) <= LEGS_APART:
            units = rounded_quotient(mine.units * UNIT, theirs.units)
            rates[need[1]] = Known(units, f"{mine.origin} / {theirs.origin}", min(mine.at, theirs.at))
    return {at: rate for at, rate in rates.items() if rate.units > 0}
