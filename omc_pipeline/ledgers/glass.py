"""Glass: what is plainly visible. Protocol TVL and fees, coin prices, candles, rates of money, heads of chains, smart-money flow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from omc_pipeline.ledgers.table import LedgerTable, Row


@dataclass(frozen=True, slots=True)
class ProtocolTvl(Row):
    """Total value locked in one protocol at one moment, without pseudo chains such as staking.

    Attributes:
        protocol: The source's short name of the protocol (its slug).
        observed_at: The time that the source gives the value.
        symbol: Coin of the protocol; NULL where it has none.
        name: Name of the protocol as people write it.
        category: The source's category, such as ``Lending``; NULL where it gives none.
        tvl_usd (US dollars): Value locked in the protocol.
        mcap_usd (US dollars): Market value of the protocol's coin; NULL in histories and where the source gives none.
        parent: Protocol of which this one is a part; NULL where it is whole, or the source says nothing. A sum counts the parts or the
            whole, not both.
    """

    protocol: str
    observed_at: datetime
    symbol: str | None
    name: str
    category: str | None
    tvl_usd: Decimal
    mcap_usd: Decimal | None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class ProtocolFees(Row):
    """Fees that users paid to one protocol, over windows that end at ``observed_at``.

    Attributes:
        protocol: The source's short name of the protocol (its slug).
        observed_at: Hour of the fetch, because the source gives no time.
        name: Name of the protocol as people write it.
        fees_24h_usd (US dollars): Fees of the last 24 hours; NULL where the source gives none.
        fees_7d_usd (US dollars): Fees of the last 7 days; NULL where the source gives none.
        fees_30d_usd (US dollars): Fees of the last 30 days; NULL where the source gives none.
        parent: Protocol of which this one is a part; NULL where it is whole, or the source says nothing. A sum counts the parts or the
            whole, not both.
    """

    protocol: str
    observed_at: datetime
    name: str
    fees_24h_usd: Decimal | None
    fees_7d_usd: Decimal | None
    fees_30d_usd: Decimal | None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class ProtocolRevenue(Row):
    """The part of the fees that one protocol keeps for itself, over windows that end at ``observed_at``.

    Attributes:
        protocol: The source's short name of the protocol (its slug).
        observed_at: Hour of the fetch, because the source gives no time.
        name: Name of the protocol as people write it.
        revenue_24h_usd (US dollars): Revenue of the last 24 hours; NULL where the source gives none.
        revenue_7d_usd (US dollars): Revenue of the last 7 days; NULL where the source gives none.
        revenue_30d_usd (US dollars): Revenue of the last 30 days; NULL where the source gives none.
        parent: Protocol of which this one is a part; NULL where it is whole, or the source says nothing. A sum counts the parts or the
            whole, not both.
    """

    protocol: str
    observed_at: datetime
    name: str
    revenue_24h_usd: Decimal | None
    revenue_7d_usd: Decimal | None
    revenue_30d_usd: Decimal | None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class ProtocolDay(Row):
    """Fees or revenue of one protocol on one day.

    Attributes:
        protocol: The source's short name of the protocol (its slug).
        metric: ``fees`` or ``revenue``.
        observed_at: Begin of the day, UTC.
        name: Name of the protocol as people write it.
        amount_usd (US dollars): Fees or revenue of the day; negative where the source corrects earlier days.
        parent: Protocol of which this one is a part; NULL where it is whole, or the source says nothing. A sum counts the parts or the
            whole, not both.
    """

    protocol: str
    metric: str
    observed_at: datetime
    name: str
    amount_usd: Decimal
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class CoinPrice(Row):
    """Price of one coin in US dollars, averaged over venues by the source.

    Attributes:
        symbol: Coin.
        observed_at: The time that the source gives the price.
        price_usd (US dollars per coin): Price.
        confidence (0 to 1): How sure the source is of the price; NULL where it says nothing.
    """

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
        open (currency per coin): First price.
        high (currency per coin): Highest price.
        low (currency per coin): Lowest price.
        close (currency per coin): Last price so far.
        vwap (currency per coin): Price averaged by volume; NULL where nothing was traded, or the venue gives none.
        volume (coins): Coins traded; 0 in the flat candles that a venue may give for spans without a trade.
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
        rate (currency per base): Units of ``currency`` for one of ``base``.
    """

    base: str
    currency: str
    day: date
    observed_at: datetime
    rate: Decimal


@dataclass(frozen=True, slots=True)
class ChainTvl(Row):
    """Total value locked in all protocols of one chain; pseudo chains such as staking are none.

    Attributes:
        chain: Name of the chain, as the source writes it.
        observed_at: Hour of the fetch, or the midnight of a point of history.
        symbol: Of the chain's coin; NULL where not told.
        tvl_usd (US dollars): Value locked in the chain's protocols.
    """

    chain: str
    observed_at: datetime
    symbol: str | None
    tvl_usd: Decimal


@dataclass(frozen=True, slots=True)
class ChainBlock(Row):
    """A block that was the head of a chain when it was asked for; the blocks between two looks have no row.

    Attributes:
        chain: Name of the chain, lower case.
        block_hash: Names the block; a chain may have other blocks of the same number for a short time.
        number: Height of the block.
        observed_at: Time of the block, by its producer.
        base_fee_gwei (1e-9 coins per gas): Part of the fee that is burnt; NULL on chains without one.
        gas_used (gas): Gas of the block's transactions; NULL on chains without gas.
        gas_limit (gas): Most gas that the block could take; NULL on chains without gas.
        transactions: Number of its transactions; NULL where the source doesn't count them.
    """

    chain: str
    block_hash: str
    number: int
    observed_at: datetime
    base_fee_gwei: Decimal | None
    gas_used: Decimal | None
    gas_limit: Decimal | None
    transactions: int | None


@dataclass(frozen=True, slots=True)
class SmartMoneyFlow(Row):
    """What wallets that a source calls smart moved into one token, less what they moved out, over spans that end at ``observed_at``.

    Attributes:
        chain: Name of the chain, lower case.
        token_address: The token's contract; with the chain it names the token, which its symbol doesn't.
        observed_at: Quarter of an hour of the fetch.
        symbol: Unique symbol of a known contract; else what the token calls itself, which is not unique, with the chain in front
            (``SOLANA:LINK``) where that is the symbol of another asset. NULL where nobody tells, or the name imitates another.
        marks: The source's own signs, taken off the symbol: a young token, a warning. NULL without.
        net_flow_1h_usd (US dollars): Flow of the last hour, negative where more left than came; NULL where not told.
        net_flow_24h_usd (US dollars): Flow of the last 24 hours; NULL where not told.
        net_flow_7d_usd (US dollars): Flow of the last 7 days; NULL where not told.
        net_flow_30d_usd (US dollars): Flow of the last 30 days; NULL where not told.
        traders: Wallets that traded it; NULL where not told.
        market_cap_usd (US dollars): Market value of the token; NULL where not told.
    """

    chain: str
    token_address: str
    observed_at: datetime
    symbol: str | None
    marks: str | None
    net_flow_1h_usd: Decimal | None
    net_flow_24h_usd: Decimal | None
    net_flow_7d_usd: Decimal | None
    net_flow_30d_usd: Decimal | None
    traders: int | None
    market_cap_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class ApiCredit(Row):
    """What one answer of an API that is paid by credits cost.

    Attributes:
        api: Name of the API.
        request: What was asked.
        observed_at: When the answer had come.
        cost (credits): Credits that it cost; NULL where the answer doesn't say, as for the two below.
        used (credits): Credits used in the current period.
        remaining (credits): Credits left.
    """

    api: str
    request: str
    observed_at: datetime
    cost: Decimal | None
    used: Decimal | None
    remaining: Decimal | None


MARKET_CANDLE = LedgerTable(
    "glass", "market_candle", MarketCandle, key=("venue", "symbol", "currency", "interval", "opened_at"), clock="opened_at", monthly=True
)
FX_RATE = LedgerTable("glass", "fx_rate", FxRate, key=("base", "currency", "observed_at"), clock="observed_at")
CHAIN_TVL = LedgerTable("glass", "chain_tvl", ChainTvl, key=("chain", "observed_at"), clock="observed_at")
CHAIN_BLOCK = LedgerTable("glass", "chain_block", ChainBlock, key=("chain", "block_hash"), clock="observed_at")
SMART_MONEY_FLOW = LedgerTable(
    "glass", "smart_money_flow", SmartMoneyFlow, key=("chain", "token_address", "observed_at"), clock="observed_at"
)
PROTOCOL_REVENUE = LedgerTable("glass", "protocol_revenue", ProtocolRevenue, key=("protocol", "observed_at"), clock="observed_at")
PROTOCOL_DAY = LedgerTable("glass", "protocol_day", ProtocolDay, key=("protocol", "metric", "observed_at"), clock="observed_at")
API_CREDIT = LedgerTable("glass", "api_credit", ApiCredit, key=("api", "request", "observed_at"), clock="observed_at")
ProtocolTvl.table, ProtocolFees.table, CoinPrice.table = PROTOCOL_TVL, PROTOCOL_FEES, COIN_PRICE
MarketCandle.table, FxRate.table, ChainBlock.table = MARKET_CANDLE, FX_RATE, CHAIN_BLOCK
ProtocolRevenue.table, ProtocolDay.table = PROTOCOL_REVENUE, PROTOCOL_DAY
SmartMoneyFlow.table, ApiCredit.table, ChainTvl.table = SMART_MONEY_FLOW, API_CREDIT, CHAIN_TVL
TABLES = (
    PROTOCOL_TVL,
    PROTOCOL_FEES,
    PROTOCOL_REVENUE,
    PROTOCOL_DAY,
    COIN_PRICE,
    MARKET_CANDLE,
    FX_RATE,
    CHAIN_BLOCK,
    SMART_MONEY_FLOW,
    API_CREDIT,
    CHAIN_TVL,
)
