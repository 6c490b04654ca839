"""Names of coins in files mean assets of the registry: by venue and day, and asked about where they are not clear."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from omc_infra.errors import BadInputError
from omc_pipeline.assets.reading import registry_with, shipped
from omc_pipeline.assets.section import AssetsConfig
from omc_pipeline.commands.pnl import pnl
from omc_pipeline.imports.mapping import read_mapping
from omc_pipeline.imports.reading import Asked, FileReading, read_content
from omc_pipeline.imports.symbols import Names, chosen_names

MAP = b"""venue = "%s"
zone = "UTC"
[columns]
time = "When"
side = "What"
market = "Pair"
qty = "Units"
price = "Price"
"""


def read(venue: str, *rows: tuple[str, str], names: Names | None = None) -> FileReading:
    table = "When,What,Pair,Units,Price\n" + "".join(f"{day}T10:00:00Z,buy,{market},2,3.5\n" for day, market in rows)
    mapping = read_mapping(MAP % venue.encode()).format
    found = read_content(table.encode(), Asked(mapping=mapping, mark="point", names=names or Names()))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("venue", "day", "market", "symbol"),
    [
        ("kraken", "2024-01-02", "XXBT/AUD", "BTC"),
        ("", "2024-01-02", "XBT/AUD", "BTC"),
        ("coinspot", "2017-09-01", "BCC/AUD", "BCH"),
        ("binance", "2024-01-02", "STX/USDT", "STX"),
        ("bittrex", "2018-01-02", "STX/USDT", "STOX"),
        ("", "2022-01-02", "LUNA/USDT", "LUNC"),
        ("", "2023-01-02", "LUNA/USDT", "LUNA"),
        ("binance", "2024-01-02", "MATIC/USDT", "POL"),
        ("", "2020-01-02", "LEND/USDT", "LEND"),
    ],
)
def test_a_name_means_the_asset_that_its_venue_and_day_say(venue: str, day: str, market: str, symbol: str) -> None:
    (fill,) = read(venue, (day, market)).fills

    assert fill.symbol == symbol


def test_one_name_before_and_after_it_changed_hands_is_two_assets_and_both_are_noted() -> None:
    found = read("", ("2022-05-27", "LUNA/USDT"), ("2022-05-28", "LUNA/USDT"))

    assert [fill.symbol for fill in found.fills] == ["LUNC", "LUNA"]
    assert "LUNA is LUNC" in found.notes.assumed


def test_names_that_are_not_clear_are_all_asked_about_at_once() -> None:
    with pytest.raises(BadInputError) as refused:
        read("poloniex", ("2024-01-02", "STX/USDT"), ("2024-01-02", "NOSUCHCOIN/USDT"))

    message = str(refused.value)
    assert "STX is STX or STOX, NOSUCHCOIN is unknown" in message
    assert '"poloniex:STX" = "STX"' in message
    assert "--coin NOSUCHCOIN=NOSUCHCOIN" in message
    assert "\n" not in message


def test_what_a_person_says_of_a_name_goes_before_the_registry() -> None:
    chosen = chosen_names(["STX=STOX", "nosuchcoin=NOSUCHCOIN"], shipped())

    found = read("poloniex", ("2024-01-02", "STX/USDT"), ("2024-01-02", "NOSUCHCOIN/USDT"), names=Names(shipped(), chosen))

    assert [fill.symbol for fill in found.fills] == ["STOX", "NOSUCHCOIN"]


def test_the_line_for_omc_toml_that_a_refusal_shows_makes_the_name_clear() -> None:
    registry = registry_with(AssetsConfig(aliases={"poloniex:STX": "STX"}))

    assert [fill.symbol for fill in read("poloniex", ("2024-01-02", "STX/USDT"), names=Names(registry)).fills] == ["STX"]


def test_own_trades_state_symbols_and_no_tickers() -> None:
    found = read_content(b"id,time,symbol,side,qty,price,quote\n1,2024-01-02T10:00:00Z,STX,buy,2,3.5,USD\n", Asked())

    assert found is not None
    assert [(fill.symbol, fill.time) for fill in found.fills] == [("STX", datetime(2024, 1, 2, 10, tzinfo=UTC))]


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        (["STX"], "write NAME=SYMBOL"),
        (["STX="], "write NAME=SYMBOL"),
        (["STX=NOSUCHCOIN"], "no asset has the symbol NOSUCHCOIN"),
        (["STX=STX", "stx=STOX"], "STX is said to be STX and STOX"),
        (["ВТС=BTC"], "--coin"),
    ],
)
def test_a_choice_that_names_no_asset_or_two_is_refused(written: list[str], complaint: str) -> None:
    with pytest.raises(BadInputError, match=complaint):
        chosen_names(written, shipped())


def test_the_command_asks_about_a_name_and_takes_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMC_HOME", str(tmp_path))
    export = tmp_path / "export.csv"
    export.write_text("Date(UTC),Pair,Side,Price,Executed,Amount,Fee\n2024-03-01 10:00:05,BCDEFAUD,BUY,100,2BCDEF,200AUD,1AUD\n")
    words = ["compute", "--fills", str(export), "--json"]

    with pytest.raises(BadInputError, match="BCDEF is unknown"):
        CliRunner().invoke(pnl, words, catch_exceptions=False)
    outcome = CliRunner().invoke(pnl, [*words, "--coin", "BCDEF=BCDEF"], catch_exceptions=False)

    assert outcome.exit_code == 0, outcome.output
    assert [lot["qty"] for lot in json.loads(outcome.stdout)["open_lots"]] == ["2"]
