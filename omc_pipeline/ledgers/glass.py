"""Glass: what is plainly visible. Protocol TVL and fees, coin prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
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


PROTOCOL_TVL = LedgerTable("glass", "protocol_tvl", ProtocolTvl, key=("protocol", "observed_at"), clock="observed_at")
PROTOCOL_FEES = LedgerTable("glass", "protocol_fees", ProtocolFees, key=("protocol", "observed_at"), clock="observed_at")
COIN_PRICE = LedgerTable("glass", "coin_price", CoinPrice, key=("symbol", "observed_at"), clock="observed_at")
ProtocolTvl.table, ProtocolFees.table, CoinPrice.table = PROTOCOL_TVL, PROTOCOL_FEES, COIN_PRICE
TABLES = (PROTOCOL_TVL, PROTOCOL_FEES, COIN_PRICE)
