"""Files that a user brings, in the ledger: previewed, imported, twice, overlapping, beside an API, and taken back."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.accounts import add_account
from omc_pipeline.commands.import_files import import_files
from omc_pipeline.ledgers.exchange import Fill
from omc_pipeline.ledgers.pairs import pair_new_fills
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.ledgers.write import append
from omc_pipeline.pnl.policy import Method
from omc_pipeline.positions import compute_positions, summary
from omc_pipeline.positions.reporting import set_reporting

HEADER = "Transaction Date,Type,Market,Amount,Rate inc. fee,Rate ex. fee,Fee,Fee AUD (inc GST),GST AUD,Total AUD,Total (inc GST)"
BUY = "20/5/2024 18:54,Buy,STEEM/AUD,100,0.505,0.5,0.50000000 AUD,0.5,0.05,50.5,50.50 AUD"
SELL = "3/6/2024 09:12,Sell,STEEM/AUD,40,0.594,0.6,0.24000000 AUD,0.24,0.02,23.76,23.76 AUD"
LATER = "4/6/2024 09:12,Sell,STEEM/AUD,10,0.594,0.6,0.06000000 AUD,0.06,0.01,5.94,5.94 AUD"
Run = Callable[..., Any]


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    """Return a user of the test's own."""
    return f"u{abs(hash(request.node.name)) % 10**9}"


@pytest.fixture
def run(database: Database, settings: Settings, user: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs ``omc import`` on the module's database and answers its document."""
    assert database
    monkeypatch.setenv("OMC_HOME", str(settings.home))
    monkeypatch.setenv("OMC_DATABASE_URL", settings.database_url.get_secret_value() if settings.database_url else "")

    def call(*arguments: object) -> Any:
        words = [*map(str, arguments), *(() if "--user" in arguments else ("--user", user)), "--json"]
        outcome = CliRunner().invoke(import_files, words, catch_exceptions=False)
        assert outcome.exit_code == 0, outcome.output
        return json.loads(outcome.stdout)

    return call


def saved(folder: Path, name: str, *rows: str) -> Path:
    file = folder / name
    file.write_text("\n".join((HEADER, *rows)) + "\n")
    return file


def counted(database: Database, user: str) -> int:
    return len(LedgerReader(database.engine("reader"), user_id=user).fills(user))


def test_a_file_is_shown_first_and_written_when_asked_for(database: Database, user: str, run: Run, tmp_path: Path) -> None:
    file = saved(tmp_path, "orders.csv", BUY, SELL)

    shown = run(file, "--file-zone", "Australia/Sydney")
    before = counted(database, user)
    written = run(file, "--file-zone", "Australia/Sydney", "--yes")

    assert (shown["written"], before, shown["files"][0]["new"]) == (False, 0, 2)
    assert (written["files"][0]["new"], written["files"][0]["accounts"]) == (2, [f"{user}-coinspot"])
    compute_positions(database, user)
    assert summary(database, user).realized == Decimal("3.56")


def test_a_file_imported_twice_and_in_overlapping_halves_adds_nothing_twice(
    database: Database, user: str, run: Run, tmp_path: Path
) -> None:
    first, second = saved(tmp_path, "first.csv", BUY, SELL), saved(tmp_path, "second.csv", SELL, LATER)

    new = [run(file, "--file-zone", "Australia/Sydney", "--yes")["files"][0]["new"] for file in (first, first, second, second)]

    assert new == [2, 0, 1, 0]
    assert counted(database, user) == 3


def test_a_file_beside_the_api_counts_each_trade_once(database: Database, user: str, run: Run, tmp_path: Path) -> None:
    with database.connect("writer") as connection, connection.transaction():
        account = add_account(connection, user, "coinspot", "exchange_coinspot_account").account_id
        from datetime import UTC, datetime

        told = Fill(
            "api-1", user, account, "STEEM", "AUD", "buy", Decimal(100), Decimal("0.5"), Decimal(50), Decimal("0.5"), "AUD",
            datetime(2024, 5, 20, 8, 54, 31, tzinfo=UTC),
        )  # fmt: skip
        append(connection, "exchange_coinspot_account", [told], None)
        pair_new_fills(connection, [told])

    found = run(saved(tmp_path, "orders.csv", BUY, SELL), "--file-zone", "Australia/Sydney", "--yes")

    assert found["files"][0]["paired"] == 1
    compute_positions(database, user)
    assert summary(database, user).realized == Decimal("3.56")


KRAKEN_TRADES = """txid,ordertxid,pair,time,type,ordertype,price,cost,fee,vol,margin,misc,ledgers
TA,O1,XXBTZAUD,2024-03-04 10:11:12,buy,limit,50000,20000,52,0.4,0,,
TB,O2,XXBTZAUD,2024-04-04 10:11:12,sell,limit,60000,12000,31,0.2,0,,
TC,O2,XXBTZAUD,2024-04-03 10:11:12,buy,limit,60000,600,0,0.01,0,,
"""
KRAKEN_LEDGERS = """txid,refid,time,type,subtype,aclass,asset,wallet,amount,fee,balance
L1,TA,2024-03-04 10:11:12,trade,,currency,ZAUD,spot,-20000.0000,52.0000,948
L2,TA,2024-03-04 10:11:12,trade,,currency,XXBT,spot,0.4,0,0.4
L3,TB,2024-04-04 10:11:12,trade,,currency,XXBT,spot,-0.2,0,0.2
L4,TB,2024-04-04 10:11:12,trade,,currency,ZAUD,spot,12000,31,12917
"""


def test_two_exports_of_one_venue_count_each_trade_once_and_say_what_only_one_holds(
    database: Database, user: str, run: Run, tmp_path: Path
) -> None:
    ledgers, trades = tmp_path / "ledgers.csv", tmp_path / "trades.csv"
    ledgers.write_text(KRAKEN_LEDGERS)
    trades.write_text(KRAKEN_TRADES)

    first = run(ledgers, "--yes")["files"][0]
    second = run(trades, "--yes")["files"][0]

    assert (first["new"], first["unpaired"]) == (2, 0)
    assert (second["rows"], second["unpaired"]) == (3, 1)  # both files have Kraken's own ids of the other two
    assert counted(database, user) == 3
    compute_positions(database, user)
    assert summary(database, user).realized == Decimal("1943")


LEAVES = KRAKEN_LEDGERS + "L5,W,2024-04-05 08:00:00,withdrawal,,currency,XXBT,spot,-0.1,0.0005,0\n"
ARRIVES = """User_ID,UTC_Time,Account,Operation,Coin,Change,Remark
1,2024-04-05 08:25:40,Spot,Deposit,BTC,0.1,
1,2024-05-01 12:00:00,Spot,Transaction Sold,BTC,-0.1,
1,2024-05-01 12:00:00,Spot,Transaction Revenue,AUD,6000,
"""


@pytest.mark.parametrize("is_turned", [False, True])
def test_a_transfer_between_two_files_is_one_whichever_is_imported_first_and_again(
    is_turned: bool, database: Database, user: str, run: Run, tmp_path: Path
) -> None:
    files = [tmp_path / "kraken.csv", tmp_path / "binance.csv"]
    files[0].write_text(LEAVES)
    files[1].write_text(ARRIVES)

    found = [run(file, "--yes")["files"][0]["transfers"] for file in (files[::-1] if is_turned else files)]
    again = [run(file, "--yes")["files"][0] for file in files]

    assert found == [0, 1]
    assert [(one["new"], one["transfers"]) for one in again] == [(0, 0), (0, 0)]
    compute_positions(database, user, lot_policy="account")
    assert summary(database, user).realized == Decimal("1943") + 6000 - Decimal("5013")  # 0.1 of the 0.4 that cost 20,052


def test_an_undone_import_leaves_what_another_file_told_too(database: Database, user: str, run: Run, tmp_path: Path) -> None:
    first = run(saved(tmp_path, "first.csv", BUY, SELL), "--file-zone", "Australia/Sydney", "--yes")["files"][0]["import"]
    run(saved(tmp_path, "second.csv", SELL, LATER), "--file-zone", "Australia/Sydney", "--yes")
    compute_positions(database, user)

    undone = run("undo", first, "--by", "a person", "--reason", "wrong account")

    assert (undone["erased"]["exchange.fill"], undone["again"]) == (2, 1)
    assert counted(database, user) == 2
    listed = run("list")["imports"]
    assert [(one["import_id"] == first, one["undone_by"]) for one in listed] == [(True, "a person"), (False, None)]
    with pytest.raises(BadInputError, match="undone already"):
        run("undo", first, "--by", "a person")


def test_formats_are_listed_and_a_first_mapping_is_suggested(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text("When;Coin;Direction;Quantity;Price;Remark\n")

    outcome = CliRunner().invoke(import_files, ["--formats", "--json"])
    suggested = CliRunner().invoke(import_files, [str(file), "--suggest"])

    assert {"kraken_trades", "coinspot_orders"} <= {one["name"] for one in json.loads(outcome.stdout)["formats"]}
    assert 'qty = "Quantity"' in suggested.stdout
    assert '# ... = "Remark"' in suggested.stdout


_ZONES = {"AUD": "Australia/Sydney", "USD": "America/New_York", "GBP": "Europe/London", "EUR": "Europe/Berlin", "CAD": "America/Toronto"}
_BY_FILES_ONLY = {"negligible", "migrate"}


def test_every_case_that_a_ledger_can_hold_comes_to_its_gain_there(
    shared: Path, database: Database, run: Run, subtests: pytest.Subtests
) -> None:
    """Short sales, the Canadian method, migrations, prices in coins and the cut to a year are computed from files only."""
    seen = 0
    for file in sorted((shared / "pnl-files").glob("*.case.json")):
        case = json.loads(file.read_text())
        options = dict(zip(case["options"][::2], case["options"][1::2], strict=True))
        rows = list(csv.DictReader(file.with_name(case["input"]).open()))
        currency, method = options.get("--quote") or rows[0]["quote"], cast("Method", options["--method"])
        is_held = {row.get("kind") for row in rows}.isdisjoint(_BY_FILES_ONLY) and currency in _ZONES and method != "ca"
        if not is_held or {"--oversell-policy", "--from"} & options.keys() or "total_realized" not in case["expected"]:
            continue
        with subtests.test(case["name"]):
            user = f"case-{case['number']}"
            with database.connect("writer") as connection, connection.transaction():
                account = add_account(connection, user, "own", None).account_id
            set_reporting(database, user, currency, _ZONES[currency])
            found = run(
                file.with_name(case["input"]), "--account", account, "--quote", currency, "--yes", "--user", user
            )["files"][0]  # fmt: skip

            compute_positions(database, user, method)
            realized = summary(database, user, method).realized

            wanted = Decimal(case["expected"]["total_realized"])
            is_told = any("the ledger takes purchases first" in line for line in found["assumed"])
            assert is_told or abs(realized - wanted) <= Decimal(case["expected"].get("tolerance", "1e-18"))
            seen += 1
    assert seen >= 6
