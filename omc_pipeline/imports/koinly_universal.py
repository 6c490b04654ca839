"""Koinly, universal template: what was sent, what was received, and a fee beside them that neither holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from omc_pipeline.imports.building import each, exchanged, moved
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.fill import FIAT, Fill
from omc_pipeline.pnl.kinds import Kind

_IN: dict[str, Kind] = {
    "": "deposit", "airdrop": "airdrop", "fork": "hardfork", "mining": "mining", "reward": "staking", "staking": "staking", "income": "airdrop",
    "loan interest": "interest", "lending interest": "interest", "salary": "wages", "other income": "airdrop", "cashback": "airdrop",
}  # fmt: skip
_OUT: dict[str, Kind] = {"": "withdrawal", "gift": "gift", "lost": "lost", "stolen": "stolen", "donation": "donate", "cost": "fee"}


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    notes.assume("the fee is paid beside what was sent and received")

    def one(row: Row) -> Iterator[Fill]:
        sent, received = row.number_or_none("sent") or row.zero, row.number_or_none("received") or row.zero
        fee, fee_coin, time, label = (
            row.number_or_none("fee") or row.zero,
            row.coin_or_none("fee_coin"),
            row.time("time"),
            row.word("label"),
        )
        worth, worth_in = row.number_or_none("worth"), row.coin_or_none("worth_in")
        for name, amount in (("sent", sent), ("received", received), ("fee", fee), ("worth", worth)):
            coin_name = f"{name}_in" if name == "worth" else f"{name}_coin"
            if amount and not row.coin_or_none(coin_name):
                raise row.refusal(coin_name, f"is empty beside {amount:f}")
        if sent and received:
            if label not in ("", "swap", "exchange", "trade"):
                raise UnclearRowError(f"label {row.text('label')!r} on an exchange is not supported yet")
            for amount, coin in ((sent, row.coin("sent_coin")), (received, row.coin("received_coin"))):
                if worth and worth_in and coin != worth_in:
                    notes.worth(f"#{row.number}", coin, worth / amount, worth_in)
            yield exchanged(row, "", time, (received, row.coin("received_coin")), (sent, row.coin("sent_coin")), fee, fee_coin)
            return
        if not sent and not received:
            raise UnclearRowError("nothing was sent or received")
        kinds, qty, coin = (_IN, received, row.coin("received_coin")) if received else (_OUT, sent, row.coin("sent_coin"))
        kind = kinds.get(label)
        if kind is None:
            raise UnclearRowError(f"label {row.text('label')!r} is not supported yet")
        if coin in FIAT:
            notes.skip("deposit or withdrawal of money")
            return
        stated = worth if worth and kind not in ("deposit", "withdrawal") else None
        if worth and worth_in:
            notes.worth(f"#{row.number}", coin, worth / qty, worth_in)
        yield moved(
            row, "", time, kind, coin, qty, fee=fee, fee_currency=fee_coin, hash_=row.text("hash") or None, amount=stated,
            currency=worth_in if stated else "",
        )  # fmt: skip

    return each(rows, notes, one)


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
