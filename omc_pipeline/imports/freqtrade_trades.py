"""freqtrade, trades as JSON (``show-trades --print-json``, the API, a back test): each opens once and closes once, or not yet.

Fees are a share of the value, in the currency of the market. The schema is that of ``freqtrade/persistence/trade_model.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from omc_pipeline.imports.building import each, market, traded
from omc_pipeline.imports.format import Format, Titles
from omc_pipeline.imports.money import Side
from omc_pipeline.imports.names import asset
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.amounts import product
from omc_pipeline.pnl.fill import Fill

COLUMNS = {
    "pair": "pair",
    "is_open": "is_open",
    "is_short": "is_short",
    "qty": "amount",
    "opened": "open_date",
    "open_price": "open_rate",
    "open_fee": "fee_open",
    "closed": "close_date",
    "close_price": "close_rate",
    "close_fee": "fee_close",
}
OPTIONAL: dict[str, Titles] = {
    "id": ("trade_id", "id"),
    "leverage": "leverage",
    "orders": "orders",
    "exits": "nr_of_successful_exits",
    "entries": "nr_of_successful_entries",
}
_KEYS = {"pair", "open_rate", "open_date", "fee_open"}


def _objects(document: object) -> Sequence[Mapping[str, object]] | None:
    trades = document.get("trades") if isinstance(document, dict) else document
    if not isinstance(trades, list) or not trades or not all(isinstance(one, dict) and one.keys() >= _KEYS for one in trades):
        return None
    return [
        {name: _counted(value) if name == "orders" else value for name, value in one.items() if not isinstance(value, dict)}
        for one in trades
    ]


def _counted(orders: object) -> object:
    return (
        len([one for one in orders if isinstance(one, dict) and one.get("filled") not in (None, "0", "0.0")])
        if isinstance(orders, list)
        else orders
    )


def fills_of(row: Row) -> Iterator[Fill]:
    """Return the purchase that opened a trade and the sale that closed it."""
    if row.word("is_short") in ("true", "1"):
        raise UnclearRowError("it is a short position, which is not supported yet")
    if (row.number_or_none("leverage") or Decimal(1)) != 1:
        raise UnclearRowError("it is leveraged, which is not supported yet")
    is_open = row.word("is_open") in ("true", "1")
    most = 1 if is_open else 2
    steps = [row.number_or_none(name) or row.zero for name in ("orders", "exits", "entries") if row.has(name)]
    if (row.has("orders") and steps[0] > most) or any(step > 1 for step in steps[1 if row.has("orders") else 0 :]):
        raise UnclearRowError("it was opened or closed in several orders, whose prices this file does not hold; use trades of the venue")
    base, quote = (asset("", name) for name in market(row, "pair"))
    name = row.text("id") or f"#{row.number}"
    yield _leg(row, f"{name}:open", row.time("opened"), "buy", (base, quote), "open")
    if not is_open:
        yield _leg(row, f"{name}:close", row.time("closed"), "sell", (base, quote), "close")


def _leg(row: Row, identity: str, time: datetime, side: Side, of: tuple[str, str], leg: str) -> Fill:
    qty, price = row.amount("qty"), row.amount(f"{leg}_price")
    share = row.amount(f"{leg}_fee")
    if not 0 <= share < 1:
        raise UnclearRowError(f"its fee is a share of {share:f}")
    value = product(qty, price)
    return traded(row, identity, time, side, of, qty, price, value, product(value, share), of[1])


def read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    """Return the fills of all trades."""
    notes.assume("fees are a share of each order's value, as freqtrade computes them")
    return each(rows, notes, fills_of)


FORMAT = Format(
    name="freqtrade_trades",
    venue="",
    title="freqtrade trades (JSON)",
    link="https://www.freqtrade.io/en/stable/rest-api/",
    shape="json",
    marker=b'"open_rate"',
    objects=_objects,
    columns=COLUMNS,
    optional=OPTIONAL,
    irrelevant=(
        "base_currency",
        "quote_currency",
        "exchange",
        "stake_amount",
        "max_stake_amount",
        "strategy",
        "enter_tag",
        "timeframe",
        "open_timestamp",
        "close_timestamp",
        "open_fill_date",
        "open_fill_timestamp",
        "close_profit",
        "close_profit_pct",
        "close_profit_abs",
        "profit_ratio",
        "profit_pct",
        "profit_abs",
        "profit_fiat",
        "realized_profit",
        "realized_profit_ratio",
        "exit_reason",
        "exit_order_status",
        "stop_loss_abs",
        "stop_loss_ratio",
        "stop_loss_pct",
        "stoploss_last_update",
        "stoploss_last_update_timestamp",
        "initial_stop_loss_abs",
        "initial_stop_loss_ratio",
        "initial_stop_loss_pct",
        "min_rate",
        "max_rate",
        "has_open_orders",
        "interest_rate",
        "liquidation_price",
        "funding_fees",
        "trading_mode",
        "amount_precision",
        "price_precision",
        "precision_mode",
        "precision_mode_price",
        "contract_size",
        "amount_requested",
        "fee_open_cost",
        "fee_open_currency",
        "fee_close_cost",
        "fee_close_currency",
        "open_rate_requested",
        "open_trade_value",
        "close_rate_requested",
        "stake_currency",
        "trade_duration",
        "trade_duration_s",
        "orders_list",
        "stoploss_order_id",
        "weekday",
        "min_stake_amount",
        "stop_loss_pct",
        "is_stop_loss_trailing",
        "max_rate",
        "record_version",
        "wallet",
        "trade_id",
    ),
    zone="UTC",
    read=read,
)
