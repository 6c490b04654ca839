"""Glass: public market data. Protocol TVL and fees, coin prices, candles, exchange rates, latest blocks, smart-money flow."""

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
        name: Full name of the protocol.
        category: The source's category, such as ``Lending``; NULL where it gives none.
        tvl_usd (US dollars): Value locked in the protocol.
        mcap_usd (US dollars): Market value of the protocol's coin; NULL in histories and where the source gives none.
        parent: Protocol that this one is a part of; NULL for a whole protocol, or if the source doesn't say. Sum either the parts or the
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
        name: Full name of the protocol.
        fees_24h_usd (US dollars): Fees of the last 24 hours; NULL where the source gives none.
        fees_7d_usd (US dollars): Fees of the last 7 days; NULL where the source gives none.
        fees_30d_usd (US dollars): Fees of the last 30 days; NULL where the source gives none.
        parent: Protocol that this one is a part of; NULL for a whole protocol, or if the source doesn't say. Sum either the parts or the
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
        name: Full name of the protocol.
        revenue_24h_usd (US dollars): Revenue of the last 24 hours; NULL where the source gives none.
        revenue_7d_usd (US dollars): Revenue of the last 7 days; NULL where the source gives none.
        revenue_30d_usd (US dollars): Revenue of the last 30 days; NULL where the source gives none.
        parent: Protocol that this one is a part of; NULL for a whole protocol, or if the source doesn't say. Sum either the parts or the
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
        observed_at: Start of the day, UTC.
        name: Full name of the protocol.
        amount_usd (US dollars): Fees or revenue of the day; negative where the source corrects earlier days.
        parent: Protocol that this one is a part of; NULL for a whole protocol, or if the source doesn't say. Sum either the parts or the
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
        confidence (0 to 1): The source's confidence in the price; NULL if it gives none.
    """

    symbol: str
    observed_at: datetime
    price_usd: Decimal
    confidence: Decimal | None


@dataclass(frozen=True, slots=True)
class MarketCandle(Row):
    """Prices and volume of one market of a venue in one time span. A span without a trade may have no candle.

    Attributes:
        venue: Where it was traded, lower case.
        symbol: What was traded.
        currency: Currency or coin that the prices are in.
        interval: Length of the span: ``1m``, ``5m``, ``1h``, ``1d``.
        opened_at: Start of the span, by the venue's clock.
        open (currency per coin): First price.
        high (currency per coin): Highest price.
        low (currency per coin): Lowest price.
        close (currency per coin): Last price so far.
        vwap (currency per coin): Price averaged by volume; NULL where nothing was traded, or the venue gives none.
        volume (coins): Coins traded; 0 in the flat candles that a venue may give for spans without a trade.
        trades: Number of trades.
        is_final: Whether the span had ended; later versions replace a candle that is still changing.
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
    """Reference exchange rate of a central bank, one for each working day.

    Attributes:
        base: The currency that is priced.
        currency: The currency of the price.
        day: Day of the rate.
        observed_at: When the bank set the rate on that day; it publishes it somewhat later.
        rate (currency per base): Units of ``currency`` for one unit of ``base``.
    """

    base: str
    currency: str
    day: date
    observed_at: datetime
    rate: Decimal


@dataclass(frozen=True, slots=True)
class ChainTvl(Row):
    """Total value locked in all protocols of one chain, without pseudo chains such as staking.

    Attributes:
        chain: Name of the chain, as the source writes it.
        observed_at: Hour of the fetch; for past days, midnight.
        symbol: Symbol of the chain's coin; NULL if the source gives none.
        tvl_usd (US dollars): Value locked in the chain's protocols.
    """

    chain: str
    observed_at: datetime
    symbol: str | None
    tvl_usd: Decimal


@dataclass(frozen=True, slots=True)
class ChainBlock(Row):
    """A block that was the latest of its chain when it was fetched; blocks between two fetches have no row.

    Attributes:
        chain: Name of the chain, lower case.
        block_hash: Hash of the block; for a short time, a chain may have several blocks with the same number.
        number: Height of the block.
        observed_at: Time of the block, by its producer.
        base_fee_gwei (1e-9 coins per gas): Part of the fee that is burned; NULL on chains without one.
        gas_used (gas): Gas of the block's transactions; NULL on chains without gas.
        gas_limit (gas): Maximum gas of the block; NULL on chains without gas.
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
    """Net flow of smart-money wallets (as the source defines them) into one token, over spans that end at ``observed_at``.

    Attributes:
        chain: Name of the chain, lower case.
        token_address: The token's contract; together with the chain it identifies the token, unlike the symbol.
        observed_at: Quarter of an hour of the fetch.
        symbol: Unique symbol of a known contract; else the token's own symbol, which is not unique, with the chain in front
            (``SOLANA:LINK``) if another asset has that symbol. NULL if unknown, or if the name imitates another one.
        marks: Markers of the source, removed from the symbol: a new token, a warning. NULL without markers.
        net_flow_1h_usd (US dollars): Net flow of the last hour, negative if more left than came; NULL if the source gives none.
        net_flow_24h_usd (US dollars): Net flow of the last 24 hours; NULL if the source gives none.
        net_flow_7d_usd (US dollars): Net flow of the last 7 days; NULL if the source gives none.
        net_flow_30d_usd (US dollars): Net flow of the last 30 days; NULL if the source gives none.
        traders: Number of wallets that traded it; NULL if the source gives none.
        market_cap_usd (US dollars): Market value of the token; NULL if the source gives none.
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
    """Cost of one answer of an API that is paid by credits.

    Attributes:
        api: Name of the API.
        request: The request.
        observed_at: When the answer was complete.
        cost (credits): Credits that it cost; NULL if the answer doesn't say; the same for the next two columns.
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
