"""CoinSpot, order history: buys and sells of all markets.

Quantities are net, totals hold the fee, and the fee is stated in the currency of the market. Times are those of the account's clock
settings, and the file doesn't say which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from omc_pipeline.imports.building import each, market, side_of, traded
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.money import must_agree, slack, value_before_fee
from omc_pipeline.imports.names import asset
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.amounts import product, total
from omc_pipeline.pnl.fill import Fill

_CENT = Decimal("0.01")


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    def one(row: Row) -> Iterator[Fill]:
        side = side_of(row, "side")
        base, quote = (asset("coinspot", name) for name in market(row, "market"))
        qty, price = row.amount("qty"), row.amount("price")
        fee, fee_coin = row.amount_with_coin("fee")
        stated, stated_in = row.amount_with_coin("total")
        if {fee_coin or quote, stated_in or quote} != {quote}:
            raise UnclearRowError(f"fee and total are in {fee_coin} and {stated_in}, and the market is {base}/{quote}")
        value = value_before_fee(side, qty, price, stated, fee)
        with_fee = row.amount("price_with_fee")
        whole = total(value, fee if side == "buy" else -fee)
        must_agree("rate with fee", product(qty, with_fee), "total with fee", whole, total(slack(qty, with_fee, whole), _CENT))
        if quote == "AUD":
            must_agree("fee in AUD", row.amount("fee_aud"), "fee", fee, _CENT)
            must_agree("total in AUD", row.amount("total_aud"), "total", stated, _CENT)
        elif stated:
            notes.worth(f"#{row.number}", quote, row.amount("total_aud") / stated, "AUD")
        yield traded(row, "", row.time("time"), side, (base, quote), qty, price, value, fee, quote)

    return each(rows, notes, one)


FORMAT = Format(
    name="coinspot_orders",
    venue="coinspot",
    title="CoinSpot order history",
    link="https://coinspot.zendesk.com/hc/en-us/articles/360000228436",
    columns={
        "time": "Transaction Date",
        "side": "Type",
        "market": "Market",
        "qty": "Amount",
        "price_with_fee": "Rate inc. fee",
        "price": "Rate ex. fee",
        "fee": "Fee",
        "fee_aud": "Fee AUD (inc GST)",
        "gst": "GST AUD",
        "total_aud": "Total AUD",
        "total": "Total (inc GST)",
    },
    irrelevant=("Comment",),
    order="day first",
    read=_read,
)
