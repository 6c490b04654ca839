"""Rows of invented people: orders that were executed in one or several fills, what they held each midnight, hourly quotes.

Each day of a user is drawn on its own, and sells less of a coin than it bought: whichever days are seeded, nothing is sold that is
not held, and a day is the same however many others there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Literal

from omc_pipeline.ledgers.exchange import Balance, Fill, Quote
from omc_pipeline.ledgers.identity import venue_fill_id
from omc_pipeline.seeding.chance import COINS, Coin, chance, price_aud, rounded

CURRENCY = "AUD"
OPENING_AUD = Decimal(250_000)
ALGORITHMS = ("dca", "grid", "momentum", None)
"""What places the orders; None: the user's own hand."""
_FEE = Decimal("0.001")
_SPREAD = Decimal("0.0015")
_CENT = Decimal("0.01")
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True)
class Person:
    """An invented user with one account."""

    number: int

    @property
    def user_id(self) -> str:
        """Id of the user."""
        return f"seed-{self.number}"

    @property
    def account_id(self) -> str:
        """Id of the account."""
        return f"{self.user_id}-venue"


def quotes(seed: int, first: datetime, days: int) -> Iterator[Quote]:
    """Draw the hourly quotes of all coins from a midnight on."""
    for hour in range(days * 24):
        at = first + hour * _HOUR
        for coin in COINS:
            yield _quote(coin, price_aud(seed, coin, at), at)


def fills(seed: int, person: Person, first: datetime, days: int) -> Iterator[Fill]:
    """Draw the fills of a person from a midnight on, oldest first."""
    for day in range(days):
        yield from sorted(_trades(seed, person, first + day * _DAY), key=lambda fill: (fill.executed_at, fill.fill_id))


def balances(seed: int, person: Person, first: datetime, days: int) -> Iterator[Balance]:
    """Add up what a person holds at the end of each day, of each coin that they ever had, and of AUD."""
    held: dict[str, Decimal] = defaultdict(Decimal, {CURRENCY: OPENING_AUD})
    coins = {coin.symbol: coin for coin in COINS}
    for day in range(days):
        end = first + (day + 1) * _DAY
        for fill in _trades(seed, person, end - _DAY):
            sign, value = (1 if fill.side == "buy" else -1), fill.quote_amount or Decimal(0)
            held[fill.symbol] += sign * fill.qty
            held[CURRENCY] -= sign * value + (fill.fee or 0)
        for symbol, qty in sorted(held.items()):
            price = price_aud(seed, coins[symbol], end) if symbol in coins else Decimal(1)
            yield Balance(person.user_id, person.account_id, symbol, end, qty, (qty * price).quantize(_CENT, "ROUND_DOWN"))


def _quote(coin: Coin, middle: Decimal, at: datetime) -> Quote:
    digit = Decimal(1).scaleb(-coin.decimals)
    bid, ask = (middle * (1 - _SPREAD)).quantize(digit), (middle * (1 + _SPREAD)).quantize(digit)
    return Quote(coin.symbol, CURRENCY, at, bid, ask, middle, is_crossed=bid > ask)


def _trades(seed: int, person: Person, midnight: datetime) -> list[Fill]:
    """Draw a day: orders to buy one to three coins in its first half, and to sell a part of some in the second."""
    draw = chance(seed, person.user_id, midnight.date())
    found: list[Fill] = []
    for number, coin in enumerate(draw.sample(COINS, draw.choice((0, 1, 1, 2, 2, 3)))):
        at = midnight + timedelta(milliseconds=draw.randrange(43_200_000))
        size = rounded(draw.uniform(150, 2_500) / float(price_aud(seed, coin, at)), 8)
        found += _order(seed, person, coin, "buy", size, at, number, draw)
        if draw.random() < 0.6:
            at = midnight + timedelta(milliseconds=43_200_000 + draw.randrange(43_000_000))
            found += _order(seed, person, coin, "sell", (size * draw.randrange(2, 9) / 10).quantize(size), at, number, draw)
    return found


def _order(
    seed: int, person: Person, coin: Coin, side: Literal["buy", "sell"], size: Decimal, at: datetime, number: int, draw: Random
) -> Iterator[Fill]:
    """Execute an order in one to three fills, some seconds apart, each at the price of its time."""
    order = f"{at:%Y%m%d}-{side}-{number}"
    algorithm, parts, left = draw.choice(ALGORITHMS), draw.choice((1, 1, 2, 3)), size
    for part in range(parts):
        qty = left if part == parts - 1 else (size / parts).quantize(size)
        left, executed_at = left - qty, at + timedelta(seconds=3 * part)
        quote = _quote(coin, price_aud(seed, coin, executed_at), executed_at)
        price = (quote.ask if side == "buy" else quote.bid) or Decimal(0)
        value = (qty * price).quantize(_CENT)
        yield Fill(
            venue_fill_id(f"{order}-{part}"), person.user_id, person.account_id, coin.symbol, CURRENCY, side, qty, price, value,
            (value * _FEE).quantize(Decimal("0.0001")), CURRENCY, executed_at, trade_id=None, order_id=order, algorithm_id=algorithm,
        )  # fmt: skip
