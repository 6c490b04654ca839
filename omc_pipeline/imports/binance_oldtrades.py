"""Binance, the older trade history: market, type, price, amount, total, and the fee with its coin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from omc_pipeline.imports.building import each, market, side_of, traded
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.money import value_before_fee
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row
from omc_pipeline.pnl.fill import Fill


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    def one(row: Row) -> Iterator[Fill]:
        side, qty, price = side_of(row, "side"), row.amount("qty"), row.amount("price")
        value = value_before_fee(side, qty, price, row.amount("total"), row.zero)
        yield traded(
            row, "", row.time("time"), side, market(row, "market"), qty, price, value, row.amount("fee"), row.coin("fee_coin")
        )  # fmt: skip

    return each(rows, notes, one)


FORMAT = Format(
    name="binance_oldtrades",
    venue="binance",
    title="Binance trade history (older)",
    link="https://www.binance.com/en/support/faq/e4ff64f2533f4d23a0b3f8f17f510eab",
    columns={
        "time": "Date(UTC)",
        "market": "Market",
        "side": "Type",
        "price": "Price",
        "qty": "Amount",
        "total": "Total",
        "fee": "Fee",
        "fee_coin": "Fee Coin",
    },
    zone="UTC",
    is_ordered=True,
    read=_read,
)
