"""Coinbase, transaction history of versions 3 and 4: title lines, a header, one row a transaction; the total holds fee and spread."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from omc_pipeline.imports.building import amount_of_side, each, exchanged, moved, traded
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.money import Side, must_agree, slack, value_before_fee
from omc_pipeline.imports.names import asset
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.numbers import read_number
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.amounts import total
from omc_pipeline.pnl.fill import FIAT, Fill
from omc_pipeline.pnl.kinds import Kind

_SIDES: dict[str, Side] = {
    "buy": "buy",
    "sell": "sell",
    "advanced trade buy": "buy",
    "advanced trade sell": "sell",
    "advance trade buy": "buy",
    "advance trade sell": "sell",
}
_INCOME: dict[str, Kind] = {
    "staking income": "staking",
    "rewards income": "interest",
    "learning reward": "airdrop",
    "coinbase earn": "airdrop",
    "inflation reward": "staking",
    "interest": "interest",
    "reward income": "interest",
    "subscription rebate": "airdrop",
    "airdrop": "airdrop",
}
_WITHIN = (
    "exchange deposit",
    "exchange withdrawal",
    "pro deposit",
    "pro withdrawal",
    "vault withdrawal",
    "retail staking transfer",
    "retail unstaking transfer",
    "retail eth2 deprecation",
)
_CONVERTED = re.compile(r"Converted ([0-9.,]+) (\S+) to ([0-9.,]+) (\S+)", re.IGNORECASE)


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    def one(row: Row) -> Iterator[Fill]:
        kind, coin, qty = row.word("type"), row.coin("coin"), abs(row.amount("qty"))
        time, identity, currency = row.time("time"), row.text("id"), row.coin("currency")
        if kind in _SIDES:
            yield _trade(row, identity, kind, coin, currency)
        elif kind == "convert":
            yield _conversion(row, identity, coin)
        elif kind in _INCOME:
            yield moved(row, identity, time, _INCOME[kind], coin, qty, amount=row.number_or_none("subtotal"), currency=currency)
        elif kind in _WITHIN:
            notes.skip(f"{kind}: within the venue")
        elif coin in FIAT and kind in ("deposit", "withdrawal"):
            notes.skip(f"{kind} of money")
        elif kind in ("send", "withdrawal"):
            yield moved(row, identity, time, "withdrawal", coin, qty)
        elif kind in ("receive", "deposit"):
            yield moved(row, identity, time, "deposit", coin, qty)
        else:
            raise UnclearRowError(f"transaction type {row.text('type')!r} is not known, so it may bear on money")

    return each(rows, notes, one)


def _trade(row: Row, identity: str, kind: str, coin: str, currency: str) -> Fill:
    if currency not in FIAT:
        raise UnclearRowError(f"its price is in {currency}, which is no money; are coin and currency the other way round?")
    side = _SIDES[kind]
    qty = amount_of_side(row, "qty", side)
    fee, subtotal, whole = abs(row.number_or_none("fee") or row.zero), abs(row.amount("subtotal")), row.amount("total")
    price = row.number_or_none("price")
    must_agree(
        "total", whole, "subtotal with the fee", total(subtotal, fee if side == "buy" else -fee), slack(qty, price or row.zero, whole)
    )
    # The price is the market's at the moment, shorter than the one traded at: within one percent of the subtotal, which counts.
    if price is not None:
        must_agree("subtotal", subtotal, "quantity × price", qty * price, max(slack(qty, price, subtotal), subtotal / 100))
    return traded(
        row, identity, row.time("time"), side, (coin, currency), qty, None, value_before_fee(side, qty, None, subtotal, fee), fee, currency
    )


def _conversion(row: Row, identity: str, coin: str) -> Fill:
    found = _CONVERTED.search(row.text("notes"))
    if found is None:
        raise UnclearRowError("its note does not say what was converted into what")
    gave, got = ((read_number(found[at], "point"), asset("coinbase", found[at + 1])) for at in (1, 3))
    if coin not in (gave[1], got[1]):
        raise UnclearRowError(f"it is of {coin}, and its note of {gave[1]} and {got[1]}")
    fee = abs(row.number_or_none("fee") or row.zero)
    return exchanged(row, identity, row.time("time"), got, gave, fee, row.coin("currency"))


FORMAT = Format(
    name="coinbase_transactions",
    venue="coinbase",
    title="Coinbase transaction history",
    link="https://help.coinbase.com/en/coinbase/managing-my-account/other/reading-your-gain-loss-reports",
    columns={
        "time": "Timestamp",
        "type": "Transaction Type",
        "coin": "Asset",
        "qty": "Quantity Transacted",
        "currency": ("Price Currency", "Spot Price Currency"),
        "price": ("Price at Transaction", "Spot Price at Transaction"),
        "subtotal": "Subtotal",
        "total": "Total (inclusive of fees and/or spread)",
        "fee": "Fees and/or Spread",
        "notes": "Notes",
    },
    optional={"id": "ID"},
    zone="UTC",
    read=_read,
)
