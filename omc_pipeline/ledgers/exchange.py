"""Exchange: accounts and venues. Quotes, fills, balances. Row-level security protects fills and balances of a user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from omc_pipeline.ledgers.table import LedgerTable, Row


@dataclass(frozen=True, slots=True)
class Quote(Row):
    """Bid, ask and last price of one market at one moment.

    Attributes:
        symbol: Coin that is traded.
        currency: Currency or coin that the prices are in.
        observed_at: Time of the request, or the venue's own time if it gives one.
        bid (currency per coin): Highest price that a buyer offers; NULL if the venue gives no usable one.
        ask (currency per coin): Lowest price that a seller asks; NULL if the venue gives no usable one.
        last (currency per coin): Price of the last trade; NULL if the venue gives no usable one.
        is_crossed: Whether the bid is higher than the ask: such a quote can't be traded, and its mid price is unreliable.
    """

    symbol: str
    currency: str
    observed_at: datetime
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    is_crossed: bool = False


@dataclass(frozen=True, slots=True)
class Fill(Row):
    """One execution of a user's order, or one movement of coins.

    Attributes:
        fill_id: Id of the fill within its account: made from the venue's trade id, or if there is none, a digest of the fill; see
            ``omc_pipeline.ledgers.identity``.
        user_id: Owner of the account.
        account_id: Account that traded.
        symbol: Coin that was bought, sold or moved.
        currency: Currency or coin that price and amount are in.
        side: ``buy``: coins received; ``sell``: coins given away.
        qty (coins of symbol): Quantity, always positive.
        price (currency per coin): Price of the execution, never the order's limit; NULL if there is none, as for a deposit.
        quote_amount (currency): Value before the fee; NULL where there is no price.
        fee (fee_currency): Fee that was paid; 0 for none, NULL where it is unknown.
        fee_currency: Currency or coin of the fee.
        executed_at: When it was executed.
        kind: ``trade``, ``deposit``, ``withdrawal``, ``transfer`` (between two accounts of the user), ``fee``, ``rebate``, an income:
            ``staking``, ``airdrop``, ``interest``, ``hardfork``, ``wages``, ``mining``; or from files ``gift``, ``donate``, ``lost``,
            ``stolen``, ``dust``.
        trade_id: Id shared by the fills of one trade, or by the two halves of a transfer; NULL if there is none.
        order_id: The venue's id of the order; NULL where it gives none.
        algorithm_id: Trading algorithm that placed the order; NULL where it is not known.
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
    fee: Decimal | None
    fee_currency: str
    executed_at: datetime
    kind: str = "trade"
    trade_id: str | None = None
    order_id: str | None = None
    algorithm_id: str | None = None


@dataclass(frozen=True, slots=True)
class Balance(Row):
    """What a user held of one coin on one account at one moment.

    Attributes:
        user_id: Owner of the account.
        account_id: Account that holds the coins.
        symbol: Coin that is held.
        observed_at: Time of the request to the venue.
        qty (coins of symbol): Quantity held.
        value_aud (Australian dollars): The venue's own valuation, truncated; NULL where it gives none.
    """

    user_id: str
    account_id: str
    symbol: str
    observed_at: datetime
    qty: Decimal
    value_aud: Decimal | None


QUOTE = LedgerTable(
    "exchange",
    "quote",
    Quote,
    key=("symbol", "currency", "observed_at"),
    clock="observed_at",
    monthly=True,
    latest="exchange.latest_quote",
)
FILL = LedgerTable("exchange", "fill", Fill, key=("account_id", "fill_id"), clock="executed_at", per_user=True, per_account=True)
BALANCE = LedgerTable(
    "exchange", "balance", Balance, key=("user_id", "account_id", "symbol", "observed_at"), clock="observed_at", per_user=True
)
Quote.table, Fill.table, Balance.table = QUOTE, FILL, BALANCE
TABLES = (QUOTE, FILL, BALANCE)
