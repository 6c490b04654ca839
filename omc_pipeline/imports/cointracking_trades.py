"""CoinTracking, trade table in English and German: what was bought, what was sold; both are net, so the fee lies in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from omc_pipeline.imports.building import each, exchanged, moved, paired
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.row import Row, UnclearRowError
from omc_pipeline.pnl.amounts import total
from omc_pipeline.pnl.fill import FIAT, Fill
from omc_pipeline.pnl.kinds import Kind

_TRADES = frozenset({"trade", "handel"})
_IN: dict[str, Kind] = {
    "deposit": "deposit",
    "einzahlung": "deposit",
    "income": "airdrop",
    "einnahme": "airdrop",
    "mining": "mining",
    "staking": "staking",
    "airdrop": "airdrop",
    "hard fork": "hardfork",
    "gift/tip": "gift",
    "geschenk": "gift",
    "reward / bonus": "airdrop",
    "interest income": "interest",
    "zinsen": "interest",
    "zinseinkommen": "interest",
    "lending income": "interest",
    "masternode": "staking",
    "minting": "mining",
    "reward/bonus": "airdrop",
    "belohnung / bonus": "airdrop",
}
_OUT: dict[str, Kind] = {
    "withdrawal": "withdrawal",
    "auszahlung": "withdrawal",
    "gift": "gift",
    "donation": "donate",
    "spende": "donate",
    "lost": "lost",
    "verloren": "lost",
    "stolen": "stolen",
    "gestohlen": "stolen",
    "other fee": "fee",
    "sonstige gebühr": "fee",
    "andere gebühr": "fee",
}


def _read(rows: Iterable[Row], notes: Notes) -> Iterator[Fill]:
    notes.assume("a fee in a coin of the trade lies in its amounts, one in another coin is paid beside them")

    def one(row: Row) -> Iterator[Fill]:
        kind, time = row.word("type"), row.time("time")
        (bought, bought_coin), (sold, sold_coin), (fee, fee_coin) = (
            paired(row, name, f"{name}_coin", notes) for name in ("bought", "sold", "fee")
        )
        if kind in _TRADES:
            got = total(bought, fee) if fee_coin == bought_coin else bought
            gave = total(sold, -fee) if fee_coin == sold_coin else sold
            yield exchanged(row, "", time, (got, bought_coin), (gave, sold_coin), fee, fee_coin, account=row.text("account"))
            return
        is_in = kind in _IN and not sold
        known = _IN.get(kind) if is_in else _OUT.get(kind) if not bought else None
        if known is None:
            raise UnclearRowError(f"type {row.text('type')!r} is not supported yet")
        qty, coin = (bought, bought_coin) if is_in else (sold, sold_coin)
        if coin in FIAT:
            notes.skip("deposit or withdrawal of money")
            return
        yield moved(
            row,
            "",
            time,
            known,
            coin,
            qty,
            fee=fee,
            fee_currency=fee_coin,
            hash_=row.text("hash") or None,
            account=row.text("account"),
            side="buy" if is_in else "sell",
        )

    return each(rows, notes, one)


FORMAT = Format(
    name="cointracking_trades",
    venue="",
    title="CoinTracking trade table",
    link="https://cointracking.freshdesk.com/en/support/solutions/articles/29000017248",
    columns={
        "type": ("Type", "Typ"),
        "bought": ("Buy", "Kauf", "Buy Amount"),
        "bought_coin": ("Cur.", "Buy Currency"),
        "sold": ("Sell", "Verkauf", "Sell Amount"),
        "sold_coin": ("Cur.2", "Sell Currency"),
        "fee": ("Fee", "Gebühr"),
        "fee_coin": ("Cur.3", "Fee Currency"),
        "account": ("Exchange", "Börse"),
        "time": ("Date", "Datum"),
    },
    optional={"hash": ("Tx-ID", "TxID")},
    irrelevant=("Group", "Gruppe", "Comment", "Kommentar", "Trade-Group", "LPN", "Liquidity pool", "Tx Hash"),
    order="day first",
    read=_read,
)
