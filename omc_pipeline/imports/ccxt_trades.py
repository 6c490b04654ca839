"""ccxt, the list that ``fetchMyTrades`` returns, as JSON. Amounts are before a fee in the coin; ``cost`` is before a fee in money.

Source: https://docs.ccxt.com/#/README?id=trade-structure, looked at 2026-11-27.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from omc_pipeline.imports.building import each, market, moved, side_of, traded
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.money import must_agree, value_before_fee
from omc_pipeline.imports.names import asset
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.fill import Fill

_FEES = 4
"""Fees of one trade that are read; venues charge one, seldom two."""


def _objects(document: object) -> Sequence[Mapping[str, object]] | None:
    if not isinstance(document, list) or not document or not all(isinstance(one, dict) for one in document):
        return None
    first: Mapping[str, Any] = document[0]
    if not {"takerOrMaker", "symbol", "amount"} <= first.keys() and not {"datetime", "timestamp", "symbol", "side"} <= first.keys():
        return None
    return [_flat(one) for one in document]


def _flat(trade: Mapping[str, Any]) -> Mapping[str, object]:
    flat = {name: value for name, value in trade.items() if name not in ("fee", "fees", "info")}
    charged = trade.get("fees") or [trade.get("fee")]
    fees = [fee for fee in (charged if isinstance(charged, list) else [charged]) if isinstance(fee, dict) and fee.get("cost") is not None]
    flat["fees known"] = "yes" if fees or "fee" in trade or "fees" in trade else ""
    flat["fees beyond"] = "yes" if len(fees) > _FEES else ""
    for at in range(_FEES):
        fee = fees[at] if at < len(fees) else {}
        flat[f"fee {at}"], flat[f"fee coin {at}"] = fee.get("cost"), fee.get("currency")
    if isinstance(trade.get("fee"), dict) and len(fees) == 1:
        flat["single fee"] = trade["fee"].get("cost")
    return flat


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    def one(row: Row) -> Iterator[Fill]:
        if ":" in row.text("symbol"):
            raise UnclearRowError(f"{row.text('symbol')} is a contract; margin and futures are not supported yet")
        if row.text("beyond"):
            raise UnclearRowError(f"it has more than {_FEES} fees")
        side, qty, price = side_of(row, "side"), row.amount("qty"), row.number_or_none("price")
        base, quote = (asset("", name) for name in market(row, "symbol"))
        value = value_before_fee(side, qty, price, row.number_or_none("cost"), row.zero)
        time, identity = row.time("time"), f"{base}/{quote}:{row.required('id')}"
        if row.time("clock") != time:
            raise UnclearRowError("its timestamp and its datetime are not the same time")
        fees = [(row.amount(f"fee{at}"), row.coin(f"fee_coin{at}")) for at in range(_FEES) if row.number_or_none(f"fee{at}")]
        if fees and row.number_or_none("single") is not None:
            must_agree("fee", row.amount("single"), "fee among its fees", fees[0][0], row.zero)
        fee = fees[0][0] if fees else row.zero if row.text("known") else None
        yield traded(
            row, identity, time, side, (base, quote), qty, price, value, fee, fees[0][1] if fees else quote
        )  # fmt: skip
        for at, (more, coin) in enumerate(fees[1:], 2):
            yield moved(row, f"{identity}:fee{at}", time, "fee", coin, more)

    return each(rows, notes, one)


FORMAT = Format(
    name="ccxt_trades",
    venue="",
    title="ccxt trades (fetchMyTrades)",
    link="https://docs.ccxt.com/#/README?id=trade-structure",
    shape="json",
    marker=b'"datetime"',
    objects=_objects,
    columns={
        "id": "id",
        "time": "timestamp",
        "clock": "datetime",
        "symbol": "symbol",
        "side": "side",
        "price": "price",
        "qty": "amount",
        "cost": "cost",
        "known": "fees known",
        "beyond": "fees beyond",
        **{f"fee{at}": f"fee {at}" for at in range(_FEES)},
        **{f"fee_coin{at}": f"fee coin {at}" for at in range(_FEES)},
    },
    optional={"order": "order", "single": "single fee"},
    irrelevant=("type", "takerOrMaker"),
    zone="UTC",
    is_ordered=True,
    read=_read,
)
