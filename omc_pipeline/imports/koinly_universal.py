"""Koinly, universal template: what was sent, what was received, and a fee beside them that neither holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from omc_pipeline.imports.building import each, exchanged, moved, paired
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.money import worth_agrees
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.fill import FIAT, Fill
from omc_pipeline.pnl.kinds import Kind

_IN: dict[str, Kind] = {
    "": "deposit",
    "airdrop": "airdrop",
    "fork": "hardfork",
    "mining": "mining",
    "reward": "staking",
    "staking": "staking",
    "income": "airdrop",
    "loan interest": "interest",
    "lending interest": "interest",
    "salary": "wages",
    "other income": "airdrop",
    "cashback": "airdrop",
}
Amount = tuple[Decimal, str]
_AMOUNTS = (("sent", "sent_coin"), ("received", "received_coin"), ("fee", "fee_coin"), ("worth", "worth_in"))
_OUT: dict[str, Kind] = {"": "withdrawal", "gift": "gift", "lost": "lost", "stolen": "stolen", "donation": "donate", "cost": "fee"}


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    notes.assume("the fee is paid beside what was sent and received")
    return each(rows, notes, lambda row: _event(row, notes))


def _event(row: Row, notes: Notes) -> Iterator[Fill]:
    sent, received, fee, worth = (paired(row, name, coin, notes) for name, coin in _AMOUNTS)
    for amount in (sent, received):
        worth_agrees(amount, *worth)
    for qty, coin in (sent, received):
        if qty and worth[0] and coin != worth[1]:
            notes.worth(f"#{row.number}", coin, worth[0] / qty, worth[1])
    if sent[0] and received[0]:
        if row.word("label") not in ("", "swap", "exchange", "trade"):
            raise UnclearRowError(f"label {row.text('label')!r} on an exchange is not supported yet")
        yield exchanged(row, "", row.time("time"), received, sent, *fee)
    elif sent[0] or received[0]:
        yield from _movement(row, notes, received if received[0] else sent, fee, worth, _IN if received[0] else _OUT)
    else:
        raise UnclearRowError("nothing was sent or received")


def _movement(row: Row, notes: Notes, moves: Amount, fee: Amount, worth: Amount, kinds: dict[str, Kind]) -> Iterator[Fill]:
    (qty, coin), kind = moves, kinds.get(row.word("label"))
    if kind is None:
        raise UnclearRowError(f"label {row.text('label')!r} is not supported yet")
    if coin in FIAT:
        notes.skip("deposit or withdrawal of money")
        return
    stated = worth[0] if worth[0] and kind not in ("deposit", "withdrawal") else None
    yield moved(
        row,
        "",
        row.time("time"),
        kind,
        coin,
        qty,
        fee=fee[0],
        fee_currency=fee[1],
        hash_=row.text("hash") or None,
        amount=stated,
        currency=worth[1] if stated else "",
    )


FORMAT = Format(
    name="koinly_universal",
    venue="",
    title="Koinly universal template",
    link="https://support.koinly.io/en/articles/9489976-how-to-create-a-custom-csv-file-with-your-data",
    columns={
        "time": "Date",
        "sent": "Sent Amount",
        "sent_coin": "Sent Currency",
        "received": "Received Amount",
        "received_coin": "Received Currency",
        "fee": "Fee Amount",
        "fee_coin": "Fee Currency",
        "worth": "Net Worth Amount",
        "worth_in": "Net Worth Currency",
        "label": "Label",
        "hash": "TxHash",
    },
    irrelevant=("Description",),
    zone="UTC",
    read=_read,
)
