"""Rows into trades: the case format's rules for cost, proceeds, fees and income.

A ``cost`` or ``proceeds`` that is given is final: it wins over qty × price, and the fee is taken to lie in it. A fee in the
traded coin lies within ``qty`` already: ``qty`` is what holdings changed by, and the fee is worth ``fee × price``; unless the stated
total is that of ``qty`` itself, which then is what was traded, and the fee leaves it (``gross``). Where the coin's fee is the whole
disposal (kinds ``move`` and ``fee``), the disposal is at market value. A fee in a coin is never subtracted from money.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import DECIMALS, PRICE_DECIMALS, decimal_of, exact_units, product, rounded_quotient, rounded_units, total
from omc_pipeline.pnl.document import Document, Row, Table
from omc_pipeline.pnl.fields import instant, optional_number, optional_text, refusal, required_text
from omc_pipeline.pnl.fill import FIAT
from omc_pipeline.pnl.gross import disagreement, is_gross
from omc_pipeline.pnl.kinds import INCOME_KINDS, LOSS_KINDS, PAIRED
from omc_pipeline.pnl.kinds import Kind as HoldingKind
from omc_pipeline.pnl.money import Settled, settle
from omc_pipeline.pnl.own_columns import COLUMNS, IRRELEVANT, happened, refuse_unknown
from omc_pipeline.pnl.policy import FeePolicy
from omc_pipeline.pnl.result import PnlException, unpriced_fee
from omc_pipeline.pnl.sequence import numbered
from omc_pipeline.pnl.trade import Side, Trade
from omc_pipeline.pnl.usual_rows import UsualRow, usual_row

FEE_KINDS = frozenset({"move", "fee"})
_PRICE_UNIT: int = pow(10, PRICE_DECIMALS)
KINDS = frozenset({"buy", "sell", "gift", "donate"}) | INCOME_KINDS | FEE_KINDS | LOSS_KINDS | PAIRED
FOR_NOTHING = LOSS_KINDS | {"migrate"}
"""Kinds whose value need not be stated: nothing was got, or it goes along."""
MONEY = FIAT | {"USDT", "USDC", "DAI", "FDUSD", "TUSD", "PYUSD"}
"""What prices may be in where only the fees tell: a venue's own coin (BNB) pays fees and prices nothing."""
_SIDE_OF_KIND = {
    "buy": "buy", "sell": "sell", "move": "sell", "fee": "sell", "interest": "buy", "airdrop": "buy", "hardfork": "buy", "wages": "buy",
    "mining": "buy", "lost": "sell", "stolen": "sell", "dust": "sell",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """The trades of a file, the currency of its prices (empty where it names none), and what needs a person's eye."""

    trades: Sequence[Trade]
    currency: str
    exceptions: Sequence[PnlException]
    assumed: Sequence[str] = ()


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


def read_trades(document: Document, policy: FeePolicy, quote: str | None = None, ignored: Collection[str] = ()) -> Reading:
    """Read every row of a document.

    Args:
        document: Rows as written.
        policy: Where fees go.
        quote: Currency of the prices; without it the file's own, or the one that its fees are in.
        ignored: Columns that a person says don't matter.

    Raises:
        BadInputError: A row that cannot be read, an id given twice, or fees in several currencies and none named; one line
            with row and field.
    """
    currency = _currency(document, quote)
    known = COLUMNS | IRRELEVANT | {name.strip().lower() for name in ignored}
    lane = usual_row(document.columns, currency, policy) if isinstance(document.rows, Table) else None
    ids: defaultdict[str, set[str]] = defaultdict(set)
    trades, exceptions = list[Trade](), list[PnlException]()
    rounded = undone = feeless = 0
    checked: Collection[str] | None = None
    for row in document.rows if lane is None else _usual_first(cast("Table", document.rows), lane):
        if isinstance(row, Trade):
            if row.id in ids[row.symbol]:
                raise _given_twice(document, row, None)
            ids[row.symbol].add(row.id)
            trades.append(row)
            continue
        if row.fields.keys() != checked:
            checked = row.fields.keys()
            refuse_unknown(row, known)
        if "status" in row.fields and not happened(row):
            undone += 1
            continue
        trade, exception, was_rounded = _trade(row, currency, policy, zone_optional=document.is_case)
        if trade.id in ids[trade.symbol]:
            raise _given_twice(document, trade, row)
        ids[trade.symbol].add(trade.id)
        if not document.is_case:
            exceptions.extend(_doubt(row, trade, currency))
        trades.append(trade)
        rounded += was_rounded
        feeless += not document.is_case and optional_text(row, "fee") is None
        exceptions.extend([exception] if exception else [])
    assumed = _assumed(document, rounded, undone, is_feeless=0 < feeless == len(trades))
    return Reading(numbered(trades, by_rows=not document.is_case), currency, exceptions, assumed)


def _assumed(document: Document, rounded: int, undone: int, *, is_feeless: bool) -> list[str]:
    """Return what was taken to be so, in words."""
    assumed = [f"{rounded} quantities with more than {DECIMALS} decimals are rounded to {DECIMALS}, half even"] if rounded else []
    if undone:
        assumed.append(f"{undone} rows are left out, since their status says that they did not happen")
    if document.columns and "fee" not in document.columns:
        assumed.append("no fees, since no column names them")
    elif is_feeless:
        assumed.append("no fees, since no row states one")
    return assumed


def _usual_first(rows: Table, lane: UsualRow) -> Iterator[Row | Trade]:
    """Return each row as a trade where it is written as usual, else by its fields."""
    for number, line, cells in rows.walk():
        yield lane(cells) or rows.row(number, line, cells)


def _given_twice(document: Document, trade: Trade, row: Row | None) -> BadInputError:
    places = [other for other in document.rows if optional_text(other, "id") == trade.id and _upper(other, "symbol") == trade.symbol]
    later = row or places[1]
    return refusal(
        later, "id", f"{trade.id!r} was given in {places[0].place} already; every trade of {trade.symbol} needs an id of its own"
    )  # fmt: skip


def _currency(document: Document, quote: str | None) -> str:
    stated = optional_text(Row("the case file", document.header), "quote")
    if stated:
        if quote and quote.upper() != stated.upper():
            raise BadInputError(f"the file is in {stated}; without rates it cannot be computed in {quote.upper()}")
        return stated.upper()
    if document.columns and not {"quote", "currency", "fee_ccy"} & set(document.columns):
        return (quote or "").upper()
    priced_in = {_upper(row, "quote") or _upper(row, "currency") for row in document.rows} - {"", (quote or "").upper()}
    if len(priced_in) > 1 or (quote and priced_in):
        raise BadInputError(f"prices are in {', '.join(sorted(priced_in))}; without rates a file is computed in one currency at a time")
    if quote or priced_in:
        return quote.upper() if quote else priced_in.pop()
    return _charged_in(document)


def _charged_in(document: Document) -> str:
    """Return the money that the fees of a file are in, empty where they don't tell.

    Raises:
        BadInputError: They are in several.
    """
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


def _trade(row: Row, currency: str, policy: FeePolicy, *, zone_optional: bool) -> tuple[Trade, PnlException | None, bool]:
    time = instant(row, "time", zone_optional=zone_optional)
    identity = required_text(row, "id")
    amounts, exception = _amounts(row, currency)
    try:
        settled = _settled(amounts, policy)
        income = _income(amounts)
    except ValueError as error:
        raise refusal(row, "price", error) from error
    qty = rounded_units(amounts.qty)
    if not qty:
        raise refusal(row, "qty", f"{amounts.qty} is nothing with {DECIMALS} decimals")
    kind = cast("HoldingKind", amounts.kind) if amounts.kind in PAIRED else "trade"
    trade = Trade(
        identity, amounts.symbol, currency, time, amounts.side, qty, settled.money, _lot_price(row, amounts), settled.fee, income, kind,
        sequence=_sequence(row),
    )  # fmt: skip
    return trade, exception, decimal_of(qty) != amounts.qty


def _doubt(row: Row, trade: Trade, currency: str) -> list[PnlException]:
    """Return an exception where a stated total is far from quantity × price; the total counts."""
    stated = optional_number(row, "cost" if trade.side == "buy" else "proceeds")
    if stated is None or optional_number(row, "gross") is not None:
        return []
    qty, fee = optional_number(row, "qty") or Decimal(0), optional_number(row, "fee") or Decimal(0)
    is_in_coin = (_upper(row, "fee_ccy") or currency) == trade.symbol
    readings = disagreement(trade.side, qty, optional_number(row, "price"), stated, fee, in_coin=is_in_coin)
    if readings is None:
        return []
    return [PnlException("two_readings", trade.symbol, trade.id, None, f"{row.place}, trade {trade.id!r}: {readings}")]


def _sequence(row: Row) -> int:
    text = optional_text(row, "sequence")
    if text is None:
        return 0
    if not (text.isascii() and text.isdecimal()):
        raise refusal(row, "sequence", f"{text[:40]!r} is no whole number")
    return int(text)


def _amounts(row: Row, currency: str) -> tuple[_Amounts, PnlException | None]:
    symbol, side = required_text(row, "symbol").upper(), _side(row)
    qty = optional_number(row, "qty")
    if qty is None or qty <= 0:
        raise refusal(row, "qty", "is missing" if qty is None else f"{qty} must be greater than 0")
    price, gross = _not_negative(row, "price"), _not_negative(row, "gross") if side == "buy" else None
    final = optional_number(row, "cost" if side == "buy" else "proceeds")
    kind = _kind(row)
    if price is None and gross is None and final is None and kind in FOR_NOTHING:
        price = Decimal(0)
    if price is None and gross is None and final is None:
        raise refusal(row, "price", f"is missing, and no {'cost' if side == 'buy' else 'proceeds'} stands in its place")
    fee, fee_currency = optional_number(row, "fee") or Decimal(0), _upper(row, "fee_ccy") or currency
    in_coin = bool(fee) and fee_currency == symbol != currency
    if in_coin and kind not in FEE_KINDS and is_gross(side, qty, price, final, fee):
        qty, in_coin = total(qty, -fee if side == "buy" else fee), False
        if qty <= 0:
            raise refusal(row, "fee", f"{fee} is as much as was bought")
        fee = Decimal(0)
    if in_coin and final is None and price is None:
        raise refusal(row, "fee", f"a fee in {symbol} needs a price")
    exception = None
    if fee and final is None and fee_currency not in (symbol, currency):
        exception = unpriced_fee(fee_currency, required_text(row, "id"), f"{fee:f}", currency)
        fee = Decimal(0)
    elif fee and fee_currency not in (symbol, currency):
        fee, beside = Decimal(0), f"its fee of {fee:f} {fee_currency} is taken to lie in the stated total"
        if kind in INCOME_KINDS:
            beside = f"its fee of {fee_currency} was paid beside the income, and is not counted"
        exception = PnlException(
            "unpriced_fee", fee_currency, required_text(row, "id"), None, f"trade {required_text(row, 'id')!r}: {beside}"
        )
    return _Amounts(symbol, side, kind, qty, price, gross, final, fee, in_coin), exception


def _settled(amounts: _Amounts, policy: FeePolicy) -> Settled:
    if amounts.final is not None:
        return Settled(rounded_units(amounts.final), 0)
    return settle(amounts.side, cast("Decimal", amounts.notional), amounts.fee_value, policy)


def _lot_price(row: Row, amounts: _Amounts) -> int:
    """Return what hifo and lofo compare: the spot price without fee; where none is given, the value of a unit without fee."""
    if amounts.side == "sell":
        return 0
    if amounts.price is None:
        value = amounts.gross if amounts.gross is not None else _without_fee(amounts)
        return rounded_units(value) * _PRICE_UNIT // max(rounded_units(amounts.qty), 1)
    try:
        return exact_units(amounts.price, PRICE_DECIMALS)
    except ValueError as error:
        raise refusal(row, "price", error) from error


def _income(amounts: _Amounts) -> int:
    """Return the market value, before any fee, of coins that were earned."""
    if amounts.side == "sell" or amounts.kind not in INCOME_KINDS:
        return 0
    value = amounts.notional
    return rounded_units(_without_fee(amounts) if value is None else value)


def _without_fee(amounts: _Amounts) -> Decimal:
    """Return the stated cost without the fee that lies in it; one in the coin is worth its share of the cost."""
    cost = amounts.final or Decimal(0)
    if amounts.fee_in_coin:
        # The fee lies within what was charged for, and the quantity is what arrived of it.
        charged = total(amounts.qty, amounts.fee)
        return decimal_of(rounded_quotient(rounded_units(cost) * rounded_units(amounts.qty), rounded_units(charged)))
    return total(cost, -amounts.fee)


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
