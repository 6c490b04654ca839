"""Exchange: our own account and venue. Quotes, fills, balances; fills and balances belong to a user and are row-secured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from omc_pipeline.ledgers.table import LedgerTable, Row


@dataclass(frozen=True, slots=True)
class Quote(Row):
    """Bid, ask and last of one market, in ``currency`` a coin; None where the venue gives none."""

    symbol: str
    currency: str
    observed_at: datetime
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None


@dataclass(frozen=True, slots=True)
class Fill(Row):
    """One execution of a user, or one movement of coins; ``quote_amount`` is before the fee, both in ``currency``.

    ``fill_id`` names it within its account: ``venue_fill_id`` of the venue's trade id, or ``digest_fill_id`` where it gives none
    (``omc_pipeline.ledgers.identity``). ``price`` is that of the execution, never the order's limit; it and the amount are None
    where nobody states them, as of a deposit. ``kind`` is ``trade``, ``deposit``, ``withdrawal``, ``transfer`` (between own
    accounts; both halves share ``trade_id``), ``fee``, or an income: ``staking``, ``airdrop``, ``interest``, ``hardfork``,
    ``wages``. ``side`` says whether coins came (buy) or went (sell).
    """

    fill_id: str
    user_id: str
    account_id: str
    symbol: str
    currency: str
    side: str
    qty: Decimal
    price: Decimal | None
    quote_amount: Decimal | None
    fee: Decimal
    fee_currency: str
    executed_at: datetime
    kind: str = "trade"
    trade_id: str | None = None
    order_id: str | None = None
    algorithm_id: str | None = None


@dataclass(frozen=True, slots=True)
class Balance(Row):
    """What a user held of one coin on one account; ``value_aud`` is the venue's own, truncated valuation."""

    user_id: str
    account_id: str
    symbol: str
    observed_at: datetime
    qty: Decimal
    value_aud: Decimal | None


QUOTE = LedgerTable("exchange", "quote", Quote, key=("symbol", "currency", "observed_at"), clock="observed_at")
FILL = LedgerTable("exchange", "fill", Fill, key=("account_id", "fill_id"), clock="executed_at", per_user=True, per_account=True)
BALANCE = LedgerTable(
    "exchange", "balance", Balance, key=("user_id", "account_id", "symbol", "observed_at"), clock="observed_at", per_user=True
)
Quote.table, Fill.table, Balance.table = QUOTE, FILL, BALANCE
TABLES = (QUOTE, FILL, BALANCE)
