"""Every format: a generated history comes back as it was written, and no damage to a column changes a number in silence."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omc_infra.errors import BadInputError
from omc_pipeline.imports.discovery import discover_formats
from omc_pipeline.imports.reading import Asked, FileReading, read_content

ASKED = Asked(zone="UTC")
T0 = datetime(2024, 3, 1, 10, 0, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Event:
    """One trade of a generated history; ``fee`` is in money."""

    side: str
    qty: Decimal
    price: Decimal
    fee: Decimal
    at: datetime

    @property
    def value(self) -> Decimal:
        return self.qty * self.price

    @property
    def total(self) -> Decimal:
        return self.value + self.fee if self.side == "buy" else self.value - self.fee


def _text(value: Decimal) -> str:
    return f"{value:f}"


def _table(header: str, *rows: Sequence[object]) -> bytes:
    out = io.StringIO()
    out.write(header + "\n")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def _coinspot(events: Sequence[Event]) -> bytes:
    header = "Transaction Date,Type,Market,Amount,Rate inc. fee,Rate ex. fee,Fee,Fee AUD (inc GST),GST AUD,Total AUD,Total (inc GST)"
    rows = [
        (
            f"{e.at:%d/%m/%Y %H:%M:%S}",
            e.side.title(),
            "BTC/AUD",
            e.qty,
            e.total / e.qty,
            e.price,
            f"{e.fee} AUD",
            e.fee,
            e.fee / 11,
            e.total,
            f"{e.total} AUD",
        )
        for e in events
    ]
    return _table(header, *rows)


def _kraken_trades(events: Sequence[Event]) -> bytes:
    header = "txid,ordertxid,pair,time,type,ordertype,price,cost,fee,vol,margin,misc,ledgers"
    rows = [
        (f"T{n}", f"O{n}", "XXBTZAUD", f"{e.at:%Y-%m-%d %H:%M:%S}", e.side, "limit", e.price, e.value, e.fee, e.qty, 0, "", "")
        for n, e in enumerate(events)
    ]
    return _table(header, *rows)


def _kraken_ledgers(events: Sequence[Event]) -> bytes:
    header = "txid,refid,time,type,subtype,aclass,asset,wallet,amount,fee,balance"
    rows = []
    money, coins = Decimal(10**9), Decimal(10**6)
    for n, e in enumerate(events):
        sign = 1 if e.side == "buy" else -1
        money, coins = money - sign * e.value - e.fee, coins + sign * e.qty
        at = f"{e.at:%Y-%m-%d %H:%M:%S}"
        rows += [
            (f"L{n}a", f"T{n}", at, "trade", "", "currency", "ZAUD", "spot", -sign * e.value, e.fee, money),
            (f"L{n}b", f"T{n}", at, "trade", "", "currency", "XXBT", "spot", sign * e.qty, 0, coins),
        ]
    return _table(header, *rows)


def _binance(events: Sequence[Event]) -> bytes:
    rows = [(f"{e.at:%Y-%m-%d %H:%M:%S}", "BTCAUD", e.side.upper(), e.price, f"{e.qty}BTC", f"{e.value}AUD", f"{e.fee}AUD") for e in events]
    return _table("Date(UTC),Pair,Side,Price,Executed,Amount,Fee", *rows)


def _binance_old(events: Sequence[Event]) -> bytes:
    rows = [(f"{e.at:%Y-%m-%d %H:%M:%S}", "BTCAUD", e.side.upper(), e.price, e.qty, e.value, e.fee, "AUD") for e in events]
    return _table("Date(UTC),Market,Type,Price,Amount,Total,Fee,Fee Coin", *rows)


def _binance_statement(events: Sequence[Event]) -> bytes:
    rows: list[Sequence[object]] = []
    for e in events:
        at, sign = f"{e.at:%Y-%m-%d %H:%M:%S}", 1 if e.side == "buy" else -1
        rows += [
            (1, at, "Spot", "Transaction Buy" if sign > 0 else "Transaction Sold", "BTC", sign * e.qty, ""),
            (1, at, "Spot", "Transaction Spend" if sign > 0 else "Transaction Revenue", "AUD", -sign * e.value, ""),
            (1, at, "Spot", "Transaction Fee", "AUD", -e.fee, ""),
        ]
    return _table("User_ID,UTC_Time,Account,Operation,Coin,Change,Remark", *rows)


def _coinbase(version: int) -> Callable[[Sequence[Event]], bytes]:
    def write(events: Sequence[Event]) -> bytes:
        price = "Price Currency,Price at Transaction" if version == 4 else "Spot Price Currency,Spot Price at Transaction"
        total = "Total (inclusive of fees and/or spread),Fees and/or Spread,Notes"
        header = f"Timestamp,Transaction Type,Asset,Quantity Transacted,{price},Subtotal,{total}"
        rows: list[Sequence[object]] = [
            (
                f"{e.at:%Y-%m-%d %H:%M:%S} UTC",
                e.side.title(),
                "BTC",
                e.qty if e.side == "buy" or version == 3 else -e.qty,
                "AUD",
                f"A${e.price}",
                f"A${e.value}",
                f"A${e.total}",
                f"A${e.fee}",
                f"{e.side} of coins",
            )
            for e in events
        ]
        if version == 4:
            header, rows = f"ID,{header}", [(f"c{n}", *row) for n, row in enumerate(rows)]
        return b"\nTransactions\nUser,Someone,0000\n" + _table(header, *rows)

    return write


def _koinly(events: Sequence[Event]) -> bytes:
    header = (
        "Date,Sent Amount,Sent Currency,Received Amount,Received Currency,Fee Amount,Fee Currency,Net Worth Amount,Net Worth Currency,"
        "Label,Description,TxHash"
    )
    rows = [
        (
            f"{e.at:%Y-%m-%d %H:%M:%S} UTC",
            *((e.value, "AUD", e.qty, "BTC") if e.side == "buy" else (e.qty, "BTC", e.value, "AUD")),
            e.fee,
            "AUD",
            e.value,
            "AUD",
            "",
            "",
            "",
        )
        for e in events
    ]
    return _table(header, *rows)


def _cointracking(header: str, word: str) -> Callable[[Sequence[Event]], bytes]:
    def write(events: Sequence[Event]) -> bytes:
        rows = [
            (
                word,
                *((e.qty, "BTC", e.total, "AUD") if e.side == "buy" else (e.total, "AUD", e.qty, "BTC")),
                e.fee,
                "AUD",
                "Somewhere",
                "",
                "",
                f"{e.at:%d.%m.%Y %H:%M:%S}",
            )
            for e in events
        ]
        return _table(header, *rows)

    return write


def _bittytax(events: Sequence[Event]) -> bytes:
    header = (
        "Type,Buy Quantity,Buy Asset,Buy Value in AUD,Sell Quantity,Sell Asset,Sell Value in AUD,Fee Quantity,Fee Asset,Fee Value in AUD,"
        "Wallet,Timestamp,Note"
    )
    rows = [
        (
            "Trade",
            *((e.qty, "BTC", e.value, e.value, "AUD", e.value) if e.side == "buy" else (e.value, "AUD", e.value, e.qty, "BTC", e.value)),
            e.fee,
            "AUD",
            e.fee,
            "Somewhere",
            f"{e.at:%Y-%m-%dT%H:%M:%S} UTC",
            "",
        )
        for e in events
    ]
    return _table(header, *rows)


def _ccxt(events: Sequence[Event]) -> bytes:
    return _json(
        [
            {
                "id": str(n),
                "order": str(n),
                "timestamp": int(e.at.timestamp() * 1000),
                "datetime": f"{e.at:%Y-%m-%dT%H:%M:%S}.000Z",
                "symbol": "BTC/AUD",
                "type": None,
                "side": e.side,
                "takerOrMaker": "taker",
                "price": e.price,
                "amount": e.qty,
                "cost": e.value,
                "fee": {"cost": e.fee, "currency": "AUD"},
                "fees": [{"cost": e.fee, "currency": "AUD"}],
                "info": {},
            }
            for n, e in enumerate(events)
        ]
    )


def _ghostfolio(events: Sequence[Event]) -> bytes:
    return _json(
        {
            "meta": {},
            "activities": [
                {
                    "accountId": None,
                    "comment": None,
                    "fee": e.fee,
                    "quantity": e.qty,
                    "type": e.side.upper(),
                    "unitPrice": e.price,
                    "currency": "AUD",
                    "dataSource": "YAHOO",
                    "date": f"{e.at:%Y-%m-%dT%H:%M:%S}.000Z",
                    "symbol": "BTCAUD",
                }
                for e in events
            ],
        }
    )


def _own(events: Sequence[Event]) -> bytes:
    rows = [(f"t{n}", f"{e.at:%Y-%m-%dT%H:%M:%SZ}", "BTC", e.side, e.qty, e.price, e.fee, "AUD", "AUD") for n, e in enumerate(events)]
    return _table("id,time,symbol,side,qty,price,fee,fee_ccy,quote", *rows)


def _json(document: object) -> bytes:
    """Write decimals as JSON numbers, digit by digit."""
    marks: dict[str, str] = {}

    def kept(value: object) -> object:
        mark = f"@{len(marks)}@"
        marks[f'"{mark}"'] = _text(value) if isinstance(value, Decimal) else str(value)
        return mark

    text = json.dumps(document, default=kept)
    for mark, written in marks.items():
        text = text.replace(mark, written)
    return text.encode()


WRITERS: Mapping[str, tuple[str, Callable[[Sequence[Event]], bytes]]] = {
    "coinspot_orders": ("coinspot_orders", _coinspot),
    "kraken_trades": ("kraken_trades", _kraken_trades),
    "kraken_ledgers": ("kraken_ledgers", _kraken_ledgers),
    "binance_trades": ("binance_trades", _binance),
    "binance_oldtrades": ("binance_oldtrades", _binance_old),
    "binance_statement": ("binance_statement", _binance_statement),
    "coinbase v3": ("coinbase_transactions", _coinbase(3)),
    "coinbase v4": ("coinbase_transactions", _coinbase(4)),
    "koinly_universal": ("koinly_universal", _koinly),
    "cointracking, English": (
        "cointracking_trades",
        _cointracking("Type,Buy,Cur.,Sell,Cur.,Fee,Cur.,Exchange,Group,Comment,Date", "Trade"),
    ),
    "cointracking, German": (
        "cointracking_trades",
        _cointracking("Typ,Kauf,Cur.,Verkauf,Cur.,Gebühr,Cur.,Börse,Gruppe,Kommentar,Datum", "Trade"),
    ),
    "bittytax_records": ("bittytax_records", _bittytax),
    "ccxt_trades": ("ccxt_trades", _ccxt),
    "ghostfolio_activities": ("ghostfolio_activities", _ghostfolio),
    "omc_trades": ("omc_trades", _own),
}
DAMAGED = [name for name in WRITERS if not name.startswith(("ccxt", "ghostfolio"))]
UNSEEN: Mapping[str, set[str]] = {
    "kraken_trades": {"swapped price and vol"},
    "binance_oldtrades": {"swapped Price and Amount"},
    "coinbase": {"swapped Quantity Transacted and Price at Transaction", "swapped Quantity Transacted and Spot Price at Transaction"},
    "koinly_universal": {"swapped Fee Amount and Description", "swapped Fee Amount and TxHash"},
    "cointracking": {"swapped Fee and Group", "swapped Fee and Comment", "swapped Gebühr and Gruppe", "swapped Gebühr and Kommentar"},
    "bittytax_records": {"swapped Fee Quantity and Note"},
    "omc_trades": {"swapped qty and price", "swapped qty and fee"},
}
"""Two columns under each other's title that nothing else in the row tells apart: quantity × price is the same either way round."""
USUAL = [
    Event("buy", Decimal("2.5"), Decimal("100.25"), Decimal("1.1"), T0),
    Event("sell", Decimal("0.75"), Decimal("130.5"), Decimal("0.55"), T0 + timedelta(days=40)),
    Event("buy", Decimal("1.25"), Decimal("90.125"), Decimal("0.33"), T0 + timedelta(days=80)),
]

_amounts = st.integers(1, 10**6).map(lambda n: Decimal(n).scaleb(-4))
_events = st.lists(st.tuples(st.sampled_from(["buy", "sell"]), _amounts, _amounts, st.integers(1, 9)), min_size=1, max_size=5).map(
    lambda rows: [
        # The fee is a small share of the value, as everywhere; it has as few digits as one needs to write a total exactly.
        Event(side, qty, price, (qty * price * share).scaleb(-3), T0 + timedelta(minutes=at))
        for at, (side, qty, price, share) in enumerate(rows)
    ]
)


def read(content: bytes) -> FileReading:
    found = read_content(content, ASKED)
    if found is None:
        raise BadInputError("no known format")
    return found


def facts(reading: FileReading) -> list[tuple[object, ...]]:
    """Return what of each fill bears on money."""
    return [(f.symbol, f.currency, f.side, f.qty, f.amount, f.fee, f.fee_currency if f.fee else "", f.time, f.kind) for f in reading.fills]


def test_every_format_that_is_found_has_a_history_here() -> None:
    assert {name for name, _ in WRITERS.values()} | {"coinspot_transfers", "freqtrade_trades", "freqtrade_database"} == set(
        discover_formats()
    )


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=_events)
def test_a_history_written_in_a_format_comes_back_as_it_was(name: str, events: list[Event]) -> None:
    form, write = WRITERS[name]

    found = read(write(events))

    assert found.format.name == form
    assert found.notes.exceptions == []
    assert facts(found) == [("BTC", "AUD", e.side, e.qty, e.value, e.fee, "AUD", e.at, "trade") for e in events]


@pytest.mark.parametrize("name", DAMAGED)
def test_no_damage_to_a_column_changes_a_number_in_silence(name: str) -> None:
    content = WRITERS[name][1](USUAL)
    whole = facts(read(content))

    silent = {damage for damage, damaged in damages(content) if is_silent(damaged, whole)}

    assert silent <= UNSEEN.get(name.partition(" v")[0].partition(",")[0], set())


def damages(content: bytes) -> list[tuple[str, bytes]]:
    """Return a table with each column dropped, renamed, moved to the end, and with titles that stand one column too far."""
    text = content.decode()
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if line.count(",") > 4)
    rows = list(csv.reader(lines[at:]))
    found = []
    for column, title in enumerate(rows[0]):
        others = [place for place in range(len(rows[0])) if place != column]
        found.append((f"dropped {title}", [[row[place] for place in others] for row in rows]))
        found.append((f"renamed {title}", [[*rows[0][:column], f"x{title}x", *rows[0][column + 1 :]], *rows[1:]]))
        found.append((f"moved {title}", [[row[place] for place in [*others, column]] for row in rows]))
        found.append((f"emptied {title}", [rows[0], *([*row[:column], "", *row[column + 1 :]] for row in rows[1:])]))
        for other in range(column + 1, len(rows[0])):
            titles = list(rows[0])
            titles[column], titles[other] = titles[other], titles[column]
            found.append((f"swapped {title} and {rows[0][other]}", [titles, *rows[1:]]))
    found.append(("titles one too far right", [[rows[0][-1], *rows[0][:-1]], *rows[1:]]))
    found.append(("titles one too far left", [[*rows[0][1:], rows[0][0]], *rows[1:]]))
    return [(what, _table(",".join(changed[0]), *changed[1:])) for what, changed in found]


def is_silent(damaged: bytes, whole: list[tuple[object, ...]]) -> bool:
    try:
        found = read(damaged)
    except BadInputError:
        return False
    is_said = any("no fee" in line or "negative fee" in line for line in found.notes.assumed) or found.notes.passed
    return facts(found) != whole and not found.notes.exceptions and not is_said


def test_a_freqtrade_database_and_its_json_give_the_same(tmp_path: Path) -> None:
    columns = {
        "id": 1,
        "pair": "BTC/AUD",
        "is_open": 0,
        "is_short": 0,
        "amount": 2.5,
        "open_date": "2024-03-01 10:00:05",
        "open_rate": 100.25,
        "fee_open": 0.001,
        "close_date": "2024-03-02 10:00:05",
        "close_rate": 130.5,
        "fee_close": 0.001,
        "leverage": 1.0,
    }
    file = tmp_path / "tradesv3.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute(f"CREATE TABLE trades ({', '.join(columns)})")
        connection.execute("CREATE TABLE orders (ft_trade_id, filled)")
        connection.execute(f"INSERT INTO trades VALUES ({', '.join('?' * len(columns))})", list(columns.values()))
        connection.executemany("INSERT INTO orders VALUES (1, ?)", [(2.5,), (2.5,), (0,)])
    connection.close()

    stored = read_content(file.read_bytes(), ASKED, file)
    exported = read(json.dumps([{**columns, "is_open": False, "is_short": False, "trade_id": 1}]).encode())

    assert stored is not None
    assert facts(stored) == facts(exported)
    assert [(fill.side, fill.qty, fill.fee) for fill in stored.fills] == [
        ("buy", Decimal("2.5"), Decimal("0.250625")),
        ("sell", Decimal("2.5"), Decimal("0.32625")),
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (_coinspot(USUAL).replace(b"Fee,Fee AUD", b"Fee,Rebate,Fee AUD", 1), "'Rebate'"),
        (_koinly(USUAL).replace(b"100.25", b"1oo", 1).replace(b"250.625", b"x", 1), "column 'Sent Amount'"),
        (_kraken_trades(USUAL).replace(b"2024-03-01 10:00:05", b"yesterday"), "column 'time': 'yesterday' is no time"),
    ],
)
def test_what_cannot_be_read_is_refused_by_row_and_column(content: bytes, complaint: str) -> None:
    with pytest.raises(BadInputError, match=complaint):
        read(content)


def test_a_total_that_is_neither_with_nor_without_the_fee_is_an_exception_with_both_readings() -> None:
    found = read(_kraken_trades(USUAL).replace(b"250.625", b"260.625", 1))

    assert len(found.fills) == 2
    assert "its total of 260.625 is not 250.625 (quantity × price)" in found.notes.exceptions[0].message


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_a_spreadsheet_is_read_in_every_encoding_and_with_a_decimal_comma(encoding: str) -> None:
    write = _cointracking("Typ,Kauf,Cur.,Verkauf,Cur.,Gebühr,Cur.,Börse,Gruppe,Kommentar,Datum", "Trade")
    text = write(USUAL).decode()
    german = "\n".join(
        ";".join(cell.replace(".", ",") if cell.replace(".", "").isdigit() else cell for cell in row)
        for row in csv.reader(text.splitlines())
    )

    assert facts(read(german.encode(encoding))) == facts(read(text.encode()))


def test_a_number_that_can_be_read_in_two_ways_is_asked_about() -> None:
    table = _table(
        "Date(UTC),Market,Type,Price,Amount,Total,Fee,Fee Coin", ("2024-03-01 10:00:05", "BTCAUD", "BUY", "1,234", "1", "1,234", "0", "AUD")
    )

    with pytest.raises(BadInputError, match="--decimal comma or --decimal point"):
        read(table)

    found = read_content(table, Asked(mark="point"))
    assert found is not None
    assert found.fills[0].amount == 1234


@pytest.mark.parametrize(
    ("time", "qty", "price", "why"),
    [
        ("2024-01-02T10:00:00Z", "0", "3.5", "quantity of 0"),
        ("2024-01-02T10:00:00Z", "-1", "3.5", "quantity is -1"),
        ("2024-01-02T10:00:00Z", "1", "-3.5", "price is -3.5"),
        ("2099-01-02T10:00:00Z", "1", "3.5", "lies in the future"),
    ],
)
def test_an_impossible_trade_is_not_counted_and_named(time: str, qty: str, price: str, why: str) -> None:
    table = f"id,time,symbol,side,qty,price,quote\n1,{time},BTC,buy,{qty},{price},AUD\n2,2024-01-03T10:00:00Z,BTC,buy,1,2,AUD\n"

    found = read_content(table.encode(), ASKED)

    assert found is not None
    assert [fill.qty for fill in found.fills] == [Decimal(1)]
    assert why in str(found)
