"""Rows into trades: the case format's rules for cost, proceeds, fees and income.

A ``cost`` or ``proceeds`` that is given is final: it wins over qty × price, and the fee is taken to lie in it. A fee in the
traded coin lies within ``qty`` already: ``qty`` is what holdings changed by, and the fee is worth ``fee × price``. Where the
coin's fee is the whole disposal (kinds ``move`` and ``fee``), the disposal is at market value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import PRICE_DECIMALS, exact_units, product, rounded_units, total
from omc_pipeline.pnl.document import Document, Row
from omc_pipeline.pnl.fields import instant, optional_number, optional_text, refusal, required_text
from omc_pipeline.pnl.fill import FIAT
from omc_pipeline.pnl.kinds import INCOME_KINDS
from omc_pipeline.pnl.money import Settled, settle
from omc_pipeline.pnl.policy import FeePolicy
from omc_pipeline.pnl.result import PnlException, unpriced_fee
from omc_pipeline.pnl.trade import Side, Trade

FEE_KINDS = frozenset({"move", "fee"})
_PRICE_UNIT: int = pow(10, PRICE_DECIMALS)
KINDS = frozenset({"buy", "sell", "gift", "donate"}) | INCOME_KINDS | FEE_KINDS
MONEY = FIAT | {"USDT", "USDC", "DAI", "FDUSD", "TUSD", "PYUSD"}
"""What prices may be in where only the fees tell: a venue's own coin (BNB) pays fees and prices nothing."""
_SIDE_OF_KIND = {
    "buy": "buy", "sell": "sell", "move": "sell", "fee": "sell", "interest": "buy", "airdrop": "buy", "hardfork": "buy", "wages": "buy",
}  # fmt: skip
_MISNAMED = {"fees": "fee", "commission": "fee", "fee_currency": "fee_ccy", "fee_coin": "fee_ccy", "commission_asset": "fee_ccy"}
"""Columns of other tools that would change a sum if they were passed over."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The trades of a file, the currency of its prices (empty where it names none), and what needs a person's eye."""

    trades: Sequence[Trade]
    currency: str
    exceptions: Sequence[PnlException]


@dataclass(frozen=True, slots=True)
class _Amounts:
    symbol: str
    side: Side
    kind: str
    qty: Decimal
    price: Decimal | None
    gross: Decimal | None
    final: Decimal | None
    fee: Decimal
    fee_in_coin: bool

    @property
    def notional(self) -> Decimal | None:
        """Value before the fee; an amount that the row states wins over qty × price."""
        if self.gross is not None:
            return self.gross
        return None if self.price is None else product(self.qty, self.price)

    @property
    def fee_value(self) -> Decimal:
        """Fee in the currency of the prices."""
        if not self.fee_in_coin:
            return self.fee
        return Decimal(0) if self.kind in FEE_KINDS else product(self.fee, self.price or Decimal(0))


def read_trades(document: Document, policy: FeePolicy, quote: str | None = None) -> Reading:
    """Read every row of a document.

    Args:
        document: Rows as written.
        policy: Where fees go.
        quote: Currency of the prices; without it the file's own, or the one that its fees are in.

    Raises:
        BadInputError: A row that cannot be read, an id given twice, or fees in several currencies and none named; one line
            with row and field.
    """
    currency = _currency(document, quote)
    ids: set[str] = set()
    trades, exceptions = [], []
    for row in document.rows:
        trade, exception = _trade(row, currency, policy, zone_optional=document.is_case)
        if trade.id in ids:
            earlier = next(other.place for other in document.rows if required_text(other, "id") == trade.id)
            raise refusal(row, "id", f"{trade.id!r} was given in {earlier} already; every trade needs an id of its own")
        ids.add(trade.id)
        trades.append(trade)
        exceptions.extend([exception] if exception else [])
    return Reading(trades, currency, exceptions)


def _currency(document: Document, quote: str | None) -> str:
    stated = optional_text(Row("the case file", document.header), "quote")
    if stated:
        if quote and quote.upper() != stated.upper():
            raise BadInputError(f"the file is in {stated}; without rates it cannot be computed in {quote.upper()}")
        return stated.upper()
    priced_in = {_upper(row, "quote") or _upper(row, "currency") for row in document.rows} - {"", (quote or "").upper()}
    if len(priced_in) > 1 or (quote and priced_in):
        raise BadInputError(f"prices are in {', '.join(sorted(priced_in))}; without rates a file is computed in one currency at a time")
    if quote or priced_in:
        return quote.upper() if quote else priced_in.pop()
    traded, named, charged = set[str](), set[str](), set[str]()
    for row in document.rows:
        symbol, coin = _upper(row, "symbol"), _upper(row, "fee_ccy")
        traded.add(symbol)
        if coin not in ("", symbol):
            named.add(coin)
            if optional_number(row, "fee"):
                charged.add(coin)
    money = (named & MONEY) - traded
    money = money if len(money) < 2 else money & charged
    if len(money) == 1:
        return money.pop()
    if charged:
        raise BadInputError(f"fees are in {', '.join(sorted(charged))}; name the currency of the prices with --quote")
    return ""


def _trade(row: Row, currency: str, policy: FeePolicy, *, zone_optional: bool) -> tuple[Trade, PnlException | None]:
    for name in _MISNAMED.keys() & row.fields.keys():
        raise refusal(row, name, f"no such field; it is called {_MISNAMED[name]!r} here")
    time = instant(row, "time", zone_optional=zone_optional)
    identity = required_text(row, "id")
    amounts, exception = _amounts(row, currency)
    try:
        settled = _settled(amounts, policy)
        income = _income(amounts)
    except ValueError as error:
        raise refusal(row, "price", error) from error
    try:
        qty = exact_units(amounts.qty)
    except ValueError as error:
        raise refusal(row, "qty", error) from error
    trade = Trade(identity, amounts.symbol, currency, time, amounts.side, qty, settled.money, _lot_price(row, amounts), settled.fee, income)
    return trade, exception


def _amounts(row: Row, currency: str) -> tuple[_Amounts, PnlException | None]:
    symbol, side = required_text(row, "symbol").upper(), _side(row)
    qty = optional_number(row, "qty")
    if qty is None or qty <= 0:
        raise refusal(row, "qty", "is missing" if qty is None else f"{qty} must be greater than 0")
    price, gross = _not_negative(row, "price"), _not_negative(row, "gross") if side == "buy" else None
    final = optional_number(row, "cost" if side == "buy" else "proceeds")
    if price is None and gross is None and final is None:
        raise refusal(row, "price", f"is missing, and no {'cost' if side == 'buy' else 'proceeds'} stands in its place")
    fee, fee_currency = optional_number(row, "fee") or Decimal(0), _upper(row, "fee_ccy") or currency
    in_coin = bool(fee) and fee_currency == symbol != currency
    if in_coin and final is None and price is None:
        raise refusal(row, "fee", f"a fee in {symbol} needs a price")
    exception = None
    if fee and final is None and fee_currency not in (symbol, currency):
        exception = unpriced_fee(fee_currency, required_text(row, "id"), f"{fee:f}", currency)
        fee = Decimal(0)
    return _Amounts(symbol, side, _kind(row), qty, price, gross, final, fee, in_coin), exception


def _settled(amounts: _Amounts, policy: FeePolicy) -> Settled:
    if amounts.final is not None:
        return Settled(rounded_units(amounts.final), 0)
    return settle(amounts.side, cast("Decimal", amounts.notional), amounts.fee_value, policy)


def _lot_price(row: Row, amounts: _Amounts) -> int:
    """Return what hifo and lofo compare: the spot price without fee; where none is given, the value of a unit without fee."""
    if amounts.side == "sell":
        return 0
    if amounts.price is None:
        value = amounts.gross if amounts.gross is not None else total(amounts.final or Decimal(0), -amounts.fee)
        return rounded_units(value) * _PRICE_UNIT // exact_units(amounts.qty)
    try:
        return exact_units(amounts.price, PRICE_DECIMALS)
    except ValueError as error:
        raise refusal(row, "price", error) from error


def _income(amounts: _Amounts) -> int:
    """Return the market value, before any fee, of coins that were earned."""
    if amounts.side == "sell" or amounts.kind not in INCOME_KINDS:
        return 0
    value = amounts.notional
    return rounded_units(total(amounts.final or Decimal(0), -amounts.fee) if value is None else value)


def _side(row: Row) -> Side:
    side = required_text(row, "side").lower()
    if side not in ("buy", "sell"):
        raise refusal(row, "side", f"{side[:40]!r} is neither buy nor sell")
    return cast("Side", side)


def _kind(row: Row) -> str:
    kind = (optional_text(row, "kind") or "").lower()
    if kind and kind not in KINDS:
        raise refusal(row, "kind", f"{kind[:40]!r} is none of {', '.join(sorted(KINDS))}")
    if _SIDE_OF_KIND.get(kind, _side(row)) != _side(row):
        raise refusal(row, "kind", f"{kind!r} contradicts side {_side(row)!r}")
    return kind


def _not_negative(row: Row, name: str) -> Decimal | None:
    value = optional_number(row, name)
    if value is not None and value < 0:
        raise refusal(row, name, f"{value} must not be negative")
    return value


def _upper(row: Row, name: str) -> str:
    return (optional_text(row, name) or "").upper()


def read_prices(rows: Mapping[str, object]) -> dict[str, Decimal]:
    """Read prices by symbol, as text.

    Raises:
        BadInputError: A price that is no number or negative; the message names the symbol.
    """
    prices = {}
    for symbol in rows:
        price = _not_negative(Row("prices", rows), symbol)
        if price is None:
            raise BadInputError(f"prices, field {symbol!r}: is missing")
        if symbol.upper() in prices:
            raise BadInputError(f"prices, field {symbol!r}: {symbol.upper()} is given twice")
        prices[symbol.upper()] = price
    return prices
