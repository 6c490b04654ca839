"""Kraken, ledgers: one row a change of a balance, by ``amount`` less ``fee``; the rows of one trade share their ``refid``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from omc_pipeline.imports.building import exchanged, moved, together
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.fill import FIAT, Fill
from omc_pipeline.pnl.kinds import Kind

_EXCHANGES = ("trade", "spend", "receive")
_INCOME: dict[str, Kind] = {"staking": "staking", "dividend": "staking", "reward": "staking", "airdrop": "airdrop", "fork": "hardfork"}
_WITHIN = ("spottostaking", "stakingfromspot", "stakingtospot", "spotfromstaking", "spotfromfutures", "spottofutures", "allocation",
           "deallocation", "autoallocation", "migration")  # fmt: skip
_MARGIN = ("margin", "rollover", "settled", "margin trade")


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    held: dict[str, list[Row]] = {}
    for row in rows:
        if not row.text("id"):
            notes.skip("pending, without a ledger id; it comes again with one")
        elif row.word("type") in _EXCHANGES:
            held.setdefault(row.required("ref"), []).append(row)
        else:
            held[row.required("id")] = [row]
    return together(held.values(), notes, lambda group: _event(group, notes))


def _event(group: list[Row], notes: Notes) -> Iterator[Fill]:
    row = group[0]
    kind, detail = row.word("type"), row.word("subtype").replace(" ", "")
    if kind in _EXCHANGES:
        yield _exchange(group)
        return
    coin, amount, fee = row.coin("coin"), row.amount("amount"), row.amount("fee")
    identity, time = row.required("id"), row.time("time")
    income = _INCOME.get(detail) if kind == "earn" else _INCOME.get(kind)
    if detail in _WITHIN:
        notes.skip(f"{kind} {detail}: within the venue")
    elif kind in _MARGIN:
        raise UnclearRowError(f"type {kind!r}: margin positions are not supported yet")
    elif coin in FIAT and kind in ("deposit", "withdrawal", "transfer"):
        notes.skip(f"{kind} of money")
    elif income and amount > 0:
        yield moved(row, identity, time, income, coin, amount, fee=fee)
    elif kind in ("deposit", "withdrawal"):
        if (amount > 0) is not (kind == "deposit"):
            raise UnclearRowError(f"a {kind} of {amount:f}")
        yield moved(row, identity, time, "deposit" if kind == "deposit" else "withdrawal", coin, abs(amount), fee=fee)
    else:
        raise UnclearRowError(f"type {kind!r} {detail}: nobody knows what it is; read it by a mapping file, or leave the row out")


def _exchange(group: list[Row]) -> Fill:
    came = [row for row in group if row.amount("amount") > 0]
    went = [row for row in group if row.amount("amount") < 0]
    fees = [(row.amount("fee"), row.coin("coin")) for row in group if row.amount("fee")]
    if len(came) != 1 or len(went) != 1 or len(fees) > 1:
        raise UnclearRowError(
            f"{len(came)} ledger rows came and {len(went)} went under one refid, with {len(fees)} fees; a trade has one of each"
        )
    got, gave = ((abs(row.amount("amount")), row.coin("coin")) for row in (came[0], went[0]))
    fee, coin = fees[0] if fees else (group[0].zero, gave[1])
    return exchanged(group[0], group[0].required("ref"), group[0].time("time"), got, gave, fee, coin)


FORMAT = Format(
    name="kraken_ledgers",
    venue="kraken",
    title="Kraken ledgers",
    link="https://support.kraken.com/articles/360001169383",
    columns={
        "id": "txid",
        "ref": "refid",
        "time": "time",
        "type": "type",
        "subtype": "subtype",
        "coin": "asset",
        "amount": "amount",
        "fee": "fee",
    },
    irrelevant=("aclass", "wallet", "balance", "subclass", "amountusd"),
    zone="UTC",
    read=_read,
)
