"""Candles of all origins in one table: computed from quotes, and published by venues. The table is computed; no source fills it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from omc_pipeline.ledgers.table import LedgerTable, Row


@dataclass(frozen=True, slots=True)
class Candle(Row):
    """Prices of one market in one time span that has ended. A span without data has no row: see `glass.candle_gap`.

    Attributes:
        origin: The source of the quotes that it was computed from, or ``source/venue`` of a venue's own candle.
        symbol: Coin.
        currency: Currency or coin that the prices are in.
        interval: Length of the span: ``1m``, ``5m``, ``1h``, ``1d``.
        opened_at: Start of the span, UTC.
        open (currency per coin): First price.
        high (currency per coin): Highest price.
        low (currency per coin): Lowest price.
        close (currency per coin): Last price.
        volume (coins): Coins traded; NULL for candles from quotes, which have no volume.
        samples: Number of quotes, or of trades of a venue's candle, that it is made from.
    """

    origin: str
    symbol: str
    currency: str
    interval: str
    opened_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None
    samples: int


CANDLE = LedgerTable(
    "glass", "candle", Candle, key=("origin", "symbol", "currency", "interval", "opened_at"), clock="opened_at", monthly=True
)
Candle.table = CANDLE
