"""Files that tell the same trades, in one format or several: each trade counts once, and what is not clear is said."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from omc_pipeline.commands.pnl import pnl

TRADES = "txid,ordertxid,pair,time,type,ordertype,price,cost,fee,vol,margin,misc,ledgers\n"
TRADE_ROWS = (
    "TA,O1,XXBTZEUR,2024-03-04 10:11:12,buy,limit,50000,20000,52,0.4,0,,\n",
    "TB,O2,XXBTZEUR,2024-04-04 10:11:12,sell,limit,60000,12000,31,0.2,0,,\n",
)
LEDGERS = '"txid","refid","time","type","subtype","aclass","asset","wallet","amount","fee","balance"\n'
LEDGER_ROWS = (
    '"L1","TA","2024-03-04 10:11:12","trade","","currency","EUR","spot",-20000.0000,52.0000,948\n',
    '"L2","TA","2024-03-04 10:11:12","trade","","currency","XXBT","spot",0.4,0,0.4\n',
    '"L3","TB","2024-04-04 10:11:12","trade","","currency","XXBT","spot",-0.2,0,0.2\n',
    '"L4","TB","2024-04-04 10:11:12","trade","","currency","EUR","spot",12000,31,12917\n',
)
GAIN = "1943"  # 12000 - 31 - (20000 + 52) / 2
BINANCE = "Date(UTC),Pair,Side,Price,Executed,Amount,Fee\n"
STATEMENT = "User_ID,UTC_Time,Account,Operation,Coin,Change,Remark\n"


def saved(folder: Path, name: str, *parts: str) -> Path:
    file = folder / name
    file.write_text("".join(parts))
    return file


def computed(*files: Path) -> dict[str, Any]:
    words = [word for file in files for word in ("--fills", str(file))]
    outcome = CliRunner().invoke(pnl, ["compute", *words, "--json"], catch_exceptions=False)
    found: dict[str, Any] = json.loads(outcome.stdout)
    return found


def test_trades_and_ledgers_of_one_venue_count_each_trade_once(tmp_path: Path) -> None:
    trades, ledgers = saved(tmp_path, "t.csv", TRADES, *TRADE_ROWS), saved(tmp_path, "l.csv", LEDGERS, *LEDGER_ROWS)

    for files in ((trades, ledgers), (ledgers, trades), (trades, trades, ledgers)):
        found = computed(*files)

        assert found["total_realized"] == GAIN
        assert "2 fills are told by a file of another format, too, and count once" in " ".join(found["assumed"])
        assert found["exceptions"] == []


def test_halves_that_overlap_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    first, second = saved(tmp_path, "1.csv", TRADES, TRADE_ROWS[0]), saved(tmp_path, "2.csv", TRADES, *TRADE_ROWS)

    assert computed(first, second)["total_realized"] == GAIN
    assert computed(second, first)["total_realized"] == GAIN


def test_a_row_given_twice_in_one_file_counts_once_and_is_said(tmp_path: Path) -> None:
    found = computed(saved(tmp_path, "t.csv", TRADES, *TRADE_ROWS, TRADE_ROWS[1]))

    assert found["total_realized"] == GAIN
    assert "1 rows are given twice, with the same id, and count once" in found["assumed"]


def test_an_id_given_twice_with_other_facts_is_an_exception(tmp_path: Path) -> None:
    found = computed(saved(tmp_path, "t.csv", TRADES, *TRADE_ROWS, TRADE_ROWS[1].replace(",0.2,", ",0.1,").replace("12000", "6000")))

    assert [row["kind"] for row in found["exceptions"]] == ["given_twice"]


def test_executions_that_a_statement_sums_up_are_the_same_trade(tmp_path: Path) -> None:
    rows = ["2024-01-31 18:12:45,BTCEUR,BUY,100,1BTC,100EUR,0.1EUR\n", "2024-01-31 18:12:45,BTCEUR,BUY,100,2BTC,200EUR,0.2EUR\n"]
    sums = [("Transaction Buy", "BTC", "3"), ("Transaction Spend", "EUR", "-300"), ("Transaction Fee", "EUR", "-0.3")]
    trades = saved(tmp_path, "t.csv", BINANCE, *rows)
    statement = saved(tmp_path, "s.csv", STATEMENT, *(f"1,2024-01-31 18:12:45,Spot,{what},{coin},{qty},\n" for what, coin, qty in sums))

    for files in ((trades, statement), (statement, trades)):
        found = computed(*files)

        assert sum(Decimal(lot["cost"]) for lot in found["open_lots"]) == Decimal("300.3")
        assert found["exceptions"] == []


def test_a_trade_that_the_other_file_should_hold_and_does_not_is_listed(tmp_path: Path) -> None:
    odd = "TC,O3,XXBTZEUR,2024-03-20 10:11:12,buy,limit,50000,5000,0,0.1,0,,\n"
    trades, ledgers = saved(tmp_path, "t.csv", TRADES, *TRADE_ROWS, odd), saved(tmp_path, "l.csv", LEDGERS, *LEDGER_ROWS)

    found = computed(ledgers, trades)

    assert [row["kind"] for row in found["exceptions"]] == ["given_twice"]
    assert "1 trades of account kraken are not in the file of another format" in found["exceptions"][0]["message"]
