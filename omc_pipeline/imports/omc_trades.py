"""The trades of ``omc pnl compute``: its own CSV columns, where a stated ``cost`` or ``proceeds`` is final and a fee lies in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import cast

from omc_pipeline.imports.building import each, side_of
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.amounts import product, total
from omc_pipeline.pnl.document import REQUIRED
from omc_pipeline.pnl.fill import Fill
from omc_pipeline.pnl.gross import disagreement, is_gross
from omc_pipeline.pnl.kinds import KINDS, Kind

_KINDS = {"": "trade", "buy": "trade", "sell": "trade", "move": "fee"}


def _objects(document: object) -> Sequence[Mapping[str, object]] | None:
    trades = document.get("trades") if isinstance(document, dict) else document
    if not isinstance(trades, list) or not trades or not all(isinstance(one, dict) and one.keys() >= set(REQUIRED) for one in trades):
        return None
    return trades


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    def one(row: Row) -> Iterator[Fill]:
        side, kind = side_of(row, "side"), _KINDS.get(row.word("kind"), row.word("kind"))
        if kind not in KINDS:
            raise UnclearRowError(f"kind {kind!r} is not known")
        coin, qty, price = row.coin("symbol"), row.amount("qty"), row.number_or_none("price")
        currency = row.coin_or_none("quote") or row.coin_or_none("currency") or row.quote
        if not currency:
            raise row.refusal("quote", "no column says what prices are in; add a column quote, or say it with --quote, such as --quote AUD")
        final = row.number_or_none("cost" if side == "buy" else "proceeds")
        if kind == "trade" and price is None and final is None and row.number_or_none("gross") is None:
            raise row.refusal("price", f"is missing, and no {'cost' if side == 'buy' else 'proceeds'} stands in its place")
        if row.has("fee") and row.number_or_none("fee") is None:
            notes.assume("a row whose fee is empty has no fee")
        fee, fee_coin = row.number_or_none("fee") or row.zero, row.coin_or_none("fee_ccy") or currency
        if row.number_or_none("gross") is None and (readings := disagreement(side, qty, price, final, fee, in_coin=fee_coin == coin)):
            notes.doubt("two_readings", coin, row.place, readings)
        amount = _before_fee(row, side, qty, price, final, fee, fee_coin if fee else currency, coin, currency)
        if fee and fee_coin == coin and not is_gross(side, qty, price, final, fee):
            qty = total(qty, fee if side == "buy" else -fee)
            amount = amount if price is None or final is not None else product(qty, price)
        yield Fill(
            f"{coin}/{currency}:{row.required('id')}",
            row.text("account"),
            coin,
            currency,
            side,
            qty,
            price,
            amount,
            fee,
            fee_coin,
            row.time("time"),
            cast("Kind", kind),
            None,
            None,
            "",
            1,
            row.number,
        )

    return each(rows, notes, one)


def _before_fee(
    row: Row, side: str, qty: Decimal, price: Decimal | None, final: Decimal | None, fee: Decimal, fee_coin: str, coin: str, currency: str
) -> Decimal | None:
    gross = row.number_or_none("gross")
    if gross is not None:
        return gross
    if final is not None:
        return total(final, -fee if side == "buy" else fee) if fee_coin == currency != coin else final
    return None if price is None else product(qty, price)


FORMAT = Format(
    name="omc_trades",
    venue="",
    title="trades of omc pnl compute",
    link="https://github.com/",
    columns={"id": "id", "time": "time", "symbol": "symbol", "side": "side", "qty": "qty"},
    optional={
        "price": "price",
        "kind": "kind",
        "cost": "cost",
        "proceeds": "proceeds",
        "gross": "gross",
        "fee": "fee",
        "fee_ccy": "fee_ccy",
        "quote": "quote",
        "currency": "currency",
        "account": "account",
        "sequence": "sequence",
    },
    absent={"fee": "no fees, since no column names them"},
    irrelevant=("source_row", "note"),
    zone="UTC",
    objects=_objects,
    states_symbols=True,
    read=_read,
)
