"""Binance, spot trades: one row an execution; amounts carry their coin, quantities are before a fee in the coin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from omc_pipeline.imports.building import each, side_of, traded
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.money import value_before_fee
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.fill import Fill


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    def one(row: Row) -> Iterator[Fill]:
        side, price = side_of(row, "side"), row.amount("price")
        (qty, base), (stated, quote), (fee, fee_coin) = (row.amount_with_coin(name) for name in ("executed", "amount", "fee"))
        pair = row.text("pair")
        if pair != base + quote and pair.upper().replace("/", "") != base + quote:
            raise UnclearRowError(f"it was traded in {row.text('pair')}, and its amounts are in {base} and {quote}")
        if fee and not fee_coin:
            raise UnclearRowError("its fee names no coin")
        value = value_before_fee(side, qty, price, stated, row.zero)
        yield traded(row, "", row.time("time"), side, (base, quote), qty, price, value, fee, fee_coin)

    return each(rows, notes, one)


FORMAT = Format(
    name="binance_trades",
    venue="binance",
    title="Binance spot trades",
    link="https://www.binance.com/en/support/faq/e4ff64f2533f4d23a0b3f8f17f510eab",
    columns={
        "time": ("Date(UTC)", "Time"),
        "pair": "Pair",
        "side": "Side",
        "price": "Price",
        "executed": "Executed",
        "amount": "Amount",
        "fee": "Fee",
    },
    zone="UTC",
    is_ordered=True,
    read=_read,
)
