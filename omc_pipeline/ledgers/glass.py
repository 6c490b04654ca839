"""Glass: what is plainly visible. Protocol TVL and fees, coin prices, candles, reference rates of money."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from omc_pipeline.ledgers.table import LedgerTable, Row


@dataclass(frozen=True, slots=True)
class ProtocolTvl(Row):
    """Total value locked in one protocol, without pseudo chains such as staking."""

    protocol: str
    observed_at: datetime
    symbol: str | None
    name: str
    category: str | None
    tvl_usd: Decimal
    mcap_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class ProtocolFees(Row):
    """Fees users paid to one protocol over windows that end at ``observed_at``; None where the source tells none."""

    protocol: str
    observed_at: datetime
    name: str
    fees_24h_usd: Decimal | None
    fees_7d_usd: Decimal | None
    fees_30d_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class CoinPrice(Row):
    """Price of one coin in US dollars, averaged over venues by the source; ``confidence`` is in [0, 1]."""

    symbol: str
    observed_at: datetime
    price_usd: Decimal
    confidence: Decimal | None


@dataclass(frozen=True, slots=True)
class MarketCandle(Row):
    """What was traded of one market of a venue within one span of time. Without a trade there may be no candle at all.

    Attributes:
        venue: Where it was traded, lower case.
        symbol: What was traded.
        currency: What was paid, of which one coin cost the prices.
        interval: Length of the span: ``1m``, ``5m``, ``1h``, ``1d``.
        opened_at: Begin of the span, by the venue's clock.
        open: First price.
        high: Highest price.
        low: Lowest price.
        close: Last price so far.
        vwap: Price averaged by volume; None where nothing was traded, or the venue gives none.
        volume: Coins traded; 0 in the flat candles that a venue may give for spans without a trade.
        trades: Number of trades.
        is_final: Whether the span had ended; a candle that is still forming is replaced by later versions.
    """

    venue: str
    symbol: str
    currency: str
    interval: str
    opened_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    vwap: Decimal | None
    volume: Decimal
    trades: int
    is_final: bool


PROTOCOL_TVL = LedgerTable("glass", "protocol_tvl", ProtocolTvl, key=("protocol", "observed_at"), clock="observed_at")
PROTOCOL_FEES = LedgerTable("glass", "protocol_fees", ProtocolFees, key=("protocol", "observed_at"), clock="observed_at")
COIN_PRICE = LedgerTable("glass", "coin_price", CoinPrice, key=("symbol", "observed_at"), clock="observed_at")


@dataclass(frozen=True, slots=True)
class FxRate(Row):
    """What one unit of a currency was worth in another by a central bank's reference, one rate a working day.

    Attributes:
        base: The currency of which one unit is priced.
        currency: The currency of the price.
        day: Day that the bank gives the rate for.
        observed_at: When the bank took the rate on that day; it is published somewhat later.
        rate: Units of ``currency`` for one of ``base``.
    """

    base: str
    currency: str
    day: date
    observed_at: datetime
    rate: Decimal


MARKET_CANDLE = LedgerTable(
    "glass", "market_candle", MarketCandle, key=("venue", "symbol", "currency", "interval", "opened_at"), clock="opened_at"
)
FX_RATE = LedgerTable("glass", "fx_rate", FxRate, key=("base", "currency", "observed_at"), clock="observed_at")
ProtocolTvl.table, ProtocolFees.table, CoinPrice.table = PROTOCOL_TVL, PROTOCOL_FEES, COIN_PRICE
MarketCandle.table, FxRate.table = MARKET_CANDLE, FX_RATE
TABLES = (PROTOCOL_TVL, PROTOCOL_FEES, COIN_PRICE, MARKET_CANDLE, FX_RATE)
