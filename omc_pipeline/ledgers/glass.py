"""Glass: what is plainly visible. Protocol TVL and fees, coin prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
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
    """

    protocol: str
    observed_at: datetime
    symbol: str | None
    name: str
    category: str | None
    tvl_usd: Decimal
    mcap_usd: Decimal | None


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
    """

    protocol: str
    observed_at: datetime
    name: str
    fees_24h_usd: Decimal | None
    fees_7d_usd: Decimal | None
    fees_30d_usd: Decimal | None


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


PROTOCOL_TVL = LedgerTable("glass", "protocol_tvl", ProtocolTvl, key=("protocol", "observed_at"), clock="observed_at")
PROTOCOL_FEES = LedgerTable("glass", "protocol_fees", ProtocolFees, key=("protocol", "observed_at"), clock="observed_at")
COIN_PRICE = LedgerTable("glass", "coin_price", CoinPrice, key=("symbol", "observed_at"), clock="observed_at")
ProtocolTvl.table, ProtocolFees.table, CoinPrice.table = PROTOCOL_TVL, PROTOCOL_FEES, COIN_PRICE
TABLES = (PROTOCOL_TVL, PROTOCOL_FEES, COIN_PRICE)
