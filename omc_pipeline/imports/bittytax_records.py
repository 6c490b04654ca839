"""BittyTax, transaction records: what was bought and sold, a fee beside them, and values in the currency of the records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from omc_pipeline.imports.building import each, exchanged, moved, paired
from omc_pipeline.imports.format import Format, Titles
from omc_pipeline.imports.money import must_agree, worth_agrees
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.fill import FIAT, Fill
from omc_pipeline.pnl.kinds import Kind

_IN: dict[str, Kind] = {
    "deposit": "deposit",
    "mining": "mining",
    "staking": "staking",
    "staking-reward": "staking",
    "interest": "interest",
    "dividend": "staking",
    "income": "wages",
    "gift-received": "gift",
    "airdrop": "airdrop",
    "fork": "hardfork",
    "referral": "airdrop",
    "cashback": "airdrop",
}
_OUT: dict[str, Kind] = {
    "withdrawal": "withdrawal",
    "gift-sent": "gift",
    "gift-spouse": "withdrawal",
    "charity-sent": "donate",
    "lost": "lost",
}


def _titles(kind: str) -> Titles:
    return tuple(f"{kind} Value in {currency}" for currency in ("GBP", *sorted(FIAT - {"GBP"})))


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    notes.assume("the fee is paid beside what was bought and sold")

    def one(row: Row) -> Iterator[Fill]:
        kind, time = row.word("type"), row.time("time")
        (bought, bought_coin), (sold, sold_coin), (fee, fee_coin) = (
            paired(row, name, f"{name}_coin", notes) for name in ("bought", "sold", "fee")
        )
        worths = {
            name: (row.number_or_none(f"{name}_worth"), row.title(f"{name}_worth").split()[-1].upper())
            for name in ("bought", "sold", "fee")
        }
        for name, qty, coin in (("bought", bought, "bought_coin"), ("sold", sold, "sold_coin"), ("fee", fee, "fee_coin")):
            worth, currency = worths[name]
            worth_agrees((qty, row.coin_or_none(coin)), worth, currency)
            if worth is not None and qty:
                notes.worth(f"#{row.number}", row.coin(coin), worth / qty, currency)
        account = row.text("account")
        if kind == "trade":
            got, gave = worths["bought"][0], worths["sold"][0]
            if got and gave:
                must_agree("value bought", got, "value sold", gave, max(got, gave) / 10)
            yield exchanged(row, "", time, (bought, bought_coin), (sold, sold_coin), fee, fee_coin, account=account)
            return
        is_in = kind in _IN
        known = _IN.get(kind) or _OUT.get(kind)
        if known is None or (sold if is_in else bought):
            raise UnclearRowError(f"type {row.text('type')!r} is not supported yet")
        qty, coin = (bought, bought_coin) if is_in else (sold, sold_coin)
        if coin in FIAT:
            notes.skip("deposit or withdrawal of money")
            return
        worth, currency = worths["bought" if is_in else "sold"]
        stated = worth if known not in ("deposit", "withdrawal") else None
        yield moved(
            row,
            "",
            time,
            known,
            coin,
            qty,
            fee=fee,
            fee_currency=fee_coin,
            account=account,
            amount=stated,
            currency=currency if stated is not None else "",
            side="buy" if is_in else "sell",
        )

    return each(rows, notes, one)


FORMAT = Format(
    name="bittytax_records",
    venue="",
    title="BittyTax transaction records",
    link="https://github.com/BittyTax/BittyTax/wiki",
    columns={
        "type": "Type",
        "bought": "Buy Quantity",
        "bought_coin": "Buy Asset",
        "bought_worth": _titles("Buy"),
        "sold": "Sell Quantity",
        "sold_coin": "Sell Asset",
        "sold_worth": _titles("Sell"),
        "fee": "Fee Quantity",
        "fee_coin": "Fee Asset",
        "fee_worth": _titles("Fee"),
        "account": "Wallet",
        "time": "Timestamp",
    },
    irrelevant=("Note", "Raw Data"),
    zone="UTC",
    order="day first",
    read=_read,
)
