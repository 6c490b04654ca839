"""Kraken, trades: one row an execution. ``cost`` is quantity × price, and the fee, in the currency of the cost, comes on top."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from omc_pipeline.imports.building import each, market, side_of, traded
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.money import value_before_fee
from omc_pipeline.imports.names import asset
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.fill import Fill

_LONG_CODE = 4


def pair(row: Row, name: str) -> tuple[str, str]:
    """Return base and quote of a market such as ``XXBTZEUR``, ``XTZEUR`` or ``XBT/EUR``."""
    base, quote = market(row, name)
    is_long = "/" not in row.text(name) and len(base) == _LONG_CODE + 1 and base[0] in "XZ"
    # The code of the quote begins with Z for money, and with X for a coin: XXBTZEUR, XETHXXBT.
    if is_long and (base.endswith("Z") or (base.endswith("X") and quote in ("XBT", "BTC", "ETH"))):
        base = base[:-1]
    return asset("kraken", base), asset("kraken", quote)


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    def one(row: Row) -> Iterator[Fill]:
        if row.number_or_none("margin"):
            raise UnclearRowError("it was traded on margin, which is not supported yet")
        side, qty, price = side_of(row, "side"), row.amount("qty"), row.amount("price")
        stated, fee = row.amount("cost"), row.amount("fee")
        value = value_before_fee(side, qty, price, stated, row.zero)
        base, quote = pair(row, "market")
        yield traded(row, row.required("id"), row.time("time"), side, (base, quote), qty, price, value, fee, quote)

    return each(rows, notes, one)


FORMAT = Format(
    name="kraken_trades",
    venue="kraken",
    title="Kraken trades",
    link="https://support.kraken.com/articles/360001184886",
    columns={
        "id": "txid",
        "order": "ordertxid",
        "market": "pair",
        "time": "time",
        "side": "type",
        "price": "price",
        "cost": "cost",
        "fee": "fee",
        "qty": "vol",
        "margin": "margin",
    },
    irrelevant=(
        "ordertype",
        "misc",
        "ledgers",
        "posttxid",
        "posstatuscode",
        "cprice",
        "ccost",
        "cfee",
        "cvol",
        "cmargin",
        "net",
        "trades",
        "aclass",
        "subclass",
        "costusd",
        "leverage",
        "maker",
    ),
    zone="UTC",
    read=_read,
)
