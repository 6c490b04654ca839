"""What coins and currencies were worth in the reporting currency when a fill was executed, from the ledger and kept with the fill.

The newest row up to a day before the execution counts: a quote in the reporting currency, its inverse, or a price in US dollars
times what a dollar was worth. Which rows a rate comes from is kept beside it, and a fill once settled keeps its rate: a
better quote that arrives later does not rewrite the past.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from omc_pipeline.pnl.amounts import UNIT, decimal_of, exact_units, rounded_quotient
from omc_pipeline.pnl.fill import FIAT, Fill, Rate, RateUse
from omc_pipeline.positions.prices import price_of

if TYPE_CHECKING:
    import psycopg

_DOLLAR = "USD"
_BRIDGES = ("BTC", "ETH")
"""Coins quoted everywhere: what they cost here and in dollars says what a dollar is worth, where nobody quotes it."""
QUOTES = """
SELECT need.number, q.source, q.symbol, q.currency, q.observed_at, q.version, q.bid, q.ask, q.last
FROM unnest(%s::text[], %s::text[], %s::timestamptz[]) WITH ORDINALITY AS need (symbol, currency, at, number)
CROSS JOIN LATERAL (
    SELECT * FROM exchange.quote WHERE symbol = need.symbol AND currency = need.currency
    AND observed_at <= need.at AND observed_at > need.at - interval '1 day' ORDER BY observed_at DESC, source, version DESC LIMIT 1
) AS q
"""
DOLLAR_PRICES = """
SELECT need.number, p.source, p.symbol, p.observed_at, p.version, p.price_usd
FROM unnest(%s::text[], %s::timestamptz[]) WITH ORDINALITY AS need (symbol, at, number)
CROSS JOIN LATERAL (
    SELECT * FROM glass.coin_price WHERE symbol = need.symbol
    AND observed_at <= need.at AND observed_at > need.at - interval '1 day' ORDER BY observed_at DESC, source, version DESC LIMIT 1
) AS p
"""
KEPT = (
    "SELECT account_id, fill_id, version, coin, rate, rate_id FROM pnl.rate_use WHERE user_id = %s AND currency = %s AND fill_id = ANY(%s)"
)
KEEP = """
INSERT INTO pnl.rate_use (account_id, fill_id, version, coin, currency, user_id, rate, rate_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""
Need = tuple[str, datetime]
_Known = tuple[int, str]
"""Units, and the rows they come from."""


class LedgerRates:
    """The rates of some fills; ``load`` them before asking.

    Args:
        connection: To read by.
        user_id: Whose fills.
        currency: That rates are in.
    """

    def __init__(self, connection: psycopg.Connection[Any], user_id: str, currency: str) -> None:
        self._connection, self._user_id, self._currency = connection, user_id, currency
        self._kept: dict[tuple[str, str, int, str], Rate] = {}
        self._found: Mapping[Need, Rate] = {}

    def load(self, fills: Sequence[Fill]) -> None:
        """Look up whatever these fills may need."""
        needs = {(coin, fill.time) for fill in fills for coin in self._coins(fill)}
        self._kept, self._found = {}, {}
        if needs:
            ids = [fill.id for fill in fills]
            for account, fill, version, coin, rate, identity in self._connection.execute(KEPT, (self._user_id, self._currency, ids)):
                self._kept[account, fill, version, coin] = Rate(rate, identity)
            self._found = self._look_up(sorted(needs))

    def __call__(self, fill: Fill, coin: str) -> Rate | None:
        """Answer the rate that a fill was settled by before, else the one of its time."""
        return self._kept.get((fill.account, fill.id, fill.version, coin)) or self._found.get((coin, fill.time))

    def keep(self, uses: Iterable[RateUse]) -> None:
        """Keep the rates that fills were settled by."""
        rows = {
            (use.fill.account, use.fill.id, use.fill.version, use.coin, self._currency, self._user_id, use.rate.value, use.rate.id)
            for use in uses
        }
        if rows:
            self._connection.cursor().executemany(KEEP, sorted(rows))

    def _coins(self, fill: Fill) -> set[str]:
        wanted = {fill.currency} if fill.amount is not None or fill.price is not None else {fill.symbol}
        if fill.fee or fill.kind == "transfer":
            wanted.add(fill.fee_currency if fill.fee else fill.symbol)
        if fill.kind != "trade" or fill.currency not in (self._currency, *FIAT):
            wanted.add(fill.symbol)
        if fill.kind == "trade" and fill.fee_currency == fill.symbol:
            wanted.discard(fill.symbol)
        return wanted - {self._currency}

    def _look_up(self, needs: Sequence[Need]) -> dict[Need, Rate]:
        found = self._quoted(needs)
        missing = [need for need in needs if need not in found]
        if missing:
            dollars = self._dollar_rates(sorted({at for _, at in missing}))
            prices = self._dollar_prices([need for need in missing if need[0] != _DOLLAR])
            for coin, at in missing:
                dollar, price = dollars.get(at), (UNIT, "") if coin == _DOLLAR else prices.get((coin, at))
                if dollar and price:
                    origin = " x ".join(text for text in (price[1], dollar[1]) if text)
                    found[coin, at] = rounded_quotient(price[0] * dollar[0], UNIT), origin
        return {need: Rate(decimal_of(units), identity) for need, (units, identity) in found.items()}

    def _dollar_rates(self, times: Sequence[datetime]) -> dict[datetime, _Known]:
        """Answer what a dollar was worth, quoted or by way of a coin that is quoted in both."""
        if self._currency == _DOLLAR:
            return dict.fromkeys(times, (UNIT, ""))
        rates = {at: known for (_, at), known in self._quoted([(_DOLLAR, at) for at in times]).items()}
        for bridge in _BRIDGES:
            needs = [(bridge, at) for at in times if at not in rates]
            here, there = self._quoted(needs), self._dollar_prices(needs)
            for need in here.keys() & there.keys():
                (units, quote), (dollars, price) = here[need], there[need]
                rates[need[1]] = rounded_quotient(units * UNIT, dollars), f"{quote} / {price}"
        return rates

    def _quoted(self, needs: Sequence[Need]) -> dict[Need, _Known]:
        straight = self._quotes([(coin, self._currency, at) for coin, at in needs])
        found = {need: straight[number] for number, need in enumerate(needs) if number in straight}
        others = [need for need in needs if need not in found and need[0] in FIAT]
        for number, (units, identity) in self._quotes([(self._currency, coin, at) for coin, at in others]).items():
            found[others[number]] = rounded_quotient(UNIT * UNIT, units), f"1 / {identity}"
        return found

    def _quotes(self, needs: Sequence[tuple[str, str, datetime]]) -> dict[int, _Known]:
        if not needs:
            return {}
        found = {}
        rows = self._connection.execute(QUOTES, [list(column) for column in zip(*needs, strict=True)])
        for number, source, symbol, currency, at, version, bid, ask, last in rows:
            price = price_of({"bid": bid, "ask": ask, "last": last, "source": source, "observed_at": at})
            if price is not None and price.units > 0:
                found[number - 1] = price.units, f"exchange.quote {source} {symbol}/{currency} {at.isoformat()} v{version}"
        return found

    def _dollar_prices(self, needs: Sequence[Need]) -> dict[Need, _Known]:
        if not needs:
            return {}
        rows = self._connection.execute(DOLLAR_PRICES, [list(column) for column in zip(*needs, strict=True)])
        return {
            needs[number - 1]: (exact_units(price), f"glass.coin_price {source} {symbol} {at.isoformat()} v{version}")
            for number, source, symbol, at, version, price in rows
            if price > 0
        }
