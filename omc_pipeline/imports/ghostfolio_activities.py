"""ghostfolio, its export as JSON: activities with a unit price, and a fee beside it in the same currency."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from omc_pipeline.imports.building import each, moved, traded
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.money import Side
from omc_pipeline.imports.names import asset
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.amounts import product
from omc_pipeline.pnl.fill import Fill

_KEYS = {"unitPrice", "quantity", "symbol", "type"}
_SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell"}


def _objects(document: object) -> Sequence[Mapping[str, object]] | None:
    activities = document.get("activities") if isinstance(document, dict) else None
    if not isinstance(activities, list) or not activities or not all(isinstance(one, dict) and one.keys() >= _KEYS for one in activities):
        return None
    return [{name: value for name, value in one.items() if not isinstance(value, (list, dict))} for one in activities]


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    def one(row: Row) -> Iterator[Fill]:
        if row.word("is_draft") == "true":
            notes.skip("a draft")
            return
        kind, currency = row.word("type"), row.coin("currency")
        qty, price, fee = row.amount("qty"), row.amount("price"), row.amount("fee")
        coin = _coin(row, currency)
        if kind in _SIDES:
            yield traded(
                row, row.text("id") or "", row.time("time"), _SIDES[kind], (coin, currency), qty, price, product(qty, price), fee, currency,
                account=row.text("account"),
            )  # fmt: skip
        elif kind == "interest":
            yield moved(
                row, row.text("id") or "", row.time("time"), "interest", coin, qty, amount=product(qty, price), currency=currency, fee=fee,
                fee_currency=currency, account=row.text("account"),
            )  # fmt: skip
        else:
            raise UnclearRowError(f"type {row.text('type')!r} is not supported yet")

    return each(rows, notes, one)


def _coin(row: Row, currency: str) -> str:
    """Return the coin: Yahoo writes ``BTC-USD`` or ``BTCUSD``; ids of other price sources don't tell which of several coins is meant."""
    written, source = row.required("symbol").upper(), row.text("data_source").upper()
    if source not in ("YAHOO", "MANUAL", ""):
        raise UnclearRowError(f"{row.text('symbol')!r} is an id of {source}, and which coin that is isn't known; name it in a mapping file")
    if written.endswith(currency) and len(written) > len(currency):
        written = written[: -len(currency)].rstrip("-")
    return asset("", written)


FORMAT = Format(
    name="ghostfolio_activities",
    venue="",
    title="ghostfolio activities (JSON)",
    link="https://github.com/ghostfolio/ghostfolio#import-activities",
    shape="json",
    marker=b'"unitPrice"',
    objects=_objects,
    columns={
        "type": "type",
        "symbol": "symbol",
        "currency": "currency",
        "qty": "quantity",
        "price": "unitPrice",
        "fee": "fee",
        "time": "date",
    },
    optional={"id": "id", "account": "accountId", "data_source": "dataSource", "is_draft": "isDraft"},
    irrelevant=("comment", "tags", "updateAccountBalance"),
    zone="UTC",
    read=_read,
)
