"""CoinSpot, sends and receives: coins that left for and came from elsewhere. The AUD value is of the moment, not a cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from omc_pipeline.imports.building import each, moved
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.fill import Fill
from omc_pipeline.pnl.kinds import Kind

_WAYS: dict[str, Kind] = {"send": "withdrawal", "receive": "deposit"}


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    def one(row: Row) -> Iterator[Fill]:
        direction = _WAYS.get(row.word("type"))
        if direction is None:
            raise UnclearRowError(f"type {row.text('type')!r} is neither Send nor Receive")
        coin, qty, fee = row.coin("coin"), row.amount("qty"), row.number_or_none("fee") or row.zero
        worth = row.number_or_none("aud")
        if worth is not None and qty:
            notes.worth(f"#{row.number}", coin, worth / qty, "AUD")
        yield moved(row, "", row.time("time"), direction, coin, qty, fee=fee, hash_=row.text("hash") or None)

    notes.assume("the fee of a send is paid beside the amount that was sent")
    return each(rows, notes, one)


FORMAT = Format(
    name="coinspot_transfers",
    venue="coinspot",
    title="CoinSpot sends and receives",
    link="https://coinspot.zendesk.com/hc/en-us/articles/360000228436",
    columns={
        "time": "Transaction Date",
        "type": "Type",
        "coin": "Coin",
        "status": "Status",
        "fee": "Fee",
        "qty": "Amount",
        "hash": "Txid",
        "aud": "Aud",
    },
    irrelevant=("Address",),
    order="day first",
    read=_read,
)
