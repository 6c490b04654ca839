"""What a venue or a chain tells of a user, before anything is settled: the input of ``expand``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from omc_pipeline.pnl.kinds import Kind
from omc_pipeline.pnl.trade import Side

FIAT = frozenset(
    {"AED", "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "JPY"}
    | {"KRW", "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "TRY", "TWD", "USD", "VND", "ZAR"}
)
"""Currencies that are money: converted by a rate, never a holding with lots."""


class Fill(NamedTuple):
    """One execution, or one movement of coins; amounts as told, in ``currency`` unless they are of the coin.

    ``price`` and ``amount`` (the value before the fee) are of the execution, never of the order's limit; None where nobody
    states them. A negative ``fee`` is a rebate, None one that nobody states. The two halves of a transfer share their ``trade_id``.
    ``sequence`` orders fills of one instant; 0 where nobody knows.
    """

    id: str
    account: str
    symbol: str
    currency: str
    side: Side
    qty: Decimal
    price: Decimal | None
    amount: Decimal | None
    fee: Decimal | None
    fee_currency: str
    time: datetime
    kind: Kind = "trade"
    trade_id: str | None = None
    algorithm: str | None = None
    source: str = ""
    version: int = 1
    sequence: int = 0


class Rate(NamedTuple):
    """What one unit of a coin or currency was worth in the reporting currency, and the row that says so."""

    value: Decimal
    id: str


Rates = Callable[[Fill, str], Rate | None]
"""Return the rate of a coin or currency at the time of a fill, or None where nobody knows it."""


class RateUse(NamedTuple):
    """A rate that a fill was settled by."""

    fill: Fill
    coin: str
    rate: Rate
