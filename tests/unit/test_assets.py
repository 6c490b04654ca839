"""The registry of assets: one answer for each name, venue and time, or a value that says why there is none."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omc_infra.payload import Payload
from omc_pipeline.assets.asset import Ambiguous, Asset, Unknown
from omc_pipeline.assets.findings import findings
from omc_pipeline.assets.names import clean_ticker
from omc_pipeline.assets.reading import registry_with, shipped
from omc_pipeline.assets.registry import Registry
from omc_pipeline.assets.section import AssetsConfig
from omc_pipeline.collection.parsing import parse_payload
from omc_pipeline.pnl.fill import FIAT
from omc_pipeline.sources.exchange_coinspot_prices import SOURCE as PRICES

NOW, THEN = datetime(2026, 11, 27, tzinfo=UTC), datetime(2021, 3, 1, tzinfo=UTC)


def test_the_data_file_is_sound() -> None:
    registry = shipped()

    assert findings(registry) == []
    assert len(registry.assets) > 400
    assert {asset.symbol for asset in registry.assets if asset.is_money} == FIAT


def test_findings_name_what_is_wrong() -> None:
    config = AssetsConfig.model_validate({"own": {"XX": {"name": "One", "coingecko": "bitcoin"}}, "aliases": {"coinspot:YY": "XX"}})
    twice = [*registry_with(config).assets, *(asset for asset in registry_with(config).assets if asset.symbol == "ETH")]

    found = findings(Registry(twice, namesakes={"Q": ["NOWHERE"]}))

    assert "coingecko bitcoin is of XX and of BTC" in found
    assert "symbol ETH is of ETH and of ETH" in found
    assert "namesakes Q names NOWHERE, which is no asset" in found


@pytest.mark.parametrize(
    ("venue", "ticker", "at", "symbol"),
    [
        ("coinspot", "bcc", NOW, "BCH"), ("coinspot", "BCHSV", NOW, "BSV"), ("coinspot", "MIOTA", NOW, "IOTA"),
        ("coinspot", "XRB", NOW, "XNO"), ("coinspot", "GNT", NOW, "GLM"), ("coinspot", "MATIC", NOW, "POL"),
        ("coinspot", "RNDR", THEN, "RENDER"), ("coinspot", "LUNA", NOW, "LUNC"), ("coinspot", "LUNA2", NOW, "LUNA"),
        ("coinspot", "STX", NOW, "STX"), ("coinspot", "SKY2", NOW, "SKY"), ("coinspot", "AUS", NOW, "COINSPOT:AUS"),
        ("kraken", "XXBT", NOW, "BTC"), ("kraken", "XBT", NOW, "BTC"), ("kraken", "XETH", NOW, "ETH"), ("kraken", "ZAUD", NOW, "AUD"),
        ("kraken", "XDG", NOW, "DOGE"), ("kraken", "XBT.M", NOW, "BTC"), ("kraken", "ETH2.S", NOW, "ETH"),
        ("kraken", "DOT28.S", NOW, "DOT"),
        ("kraken", "C98.F", NOW, "C98"), ("kraken", "USD.HOLD", NOW, "USD"), ("kraken", "NOPE.S", NOW, "KRAKEN:NOPE.S"),
        ("binance", "LDBTC", NOW, "BTC"), ("binance", "LDO", NOW, "LDO"), ("binance", "BCHABC", THEN, "BCH"),
        ("binance", "LUNA", THEN, "LUNC"), ("binance", "LUNA", NOW, "LUNA"), ("binance", "STX", NOW, "STX"),
        ("nowhere", "STX", NOW, "NOWHERE:STX"), ("nowhere", "BCC", NOW, "NOWHERE:BCC"), ("nowhere", "BTC", NOW, "BTC"),
        ("binance", "LEND", THEN, "LEND"), ("coinbase", "CGLD", NOW, "CELO"),
    ],
)  # fmt: skip
def test_a_ticker_means_what_its_venue_meant_then(venue: str, ticker: str, at: datetime, symbol: str) -> None:
    assert shipped().symbol_of(venue, ticker, at) == symbol


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("Bitcoin", "BTC"), ("coingecko:bitcoin", "BTC"), ("COINSPOT:MATIC", "POL"), ("kraken:XXBT", "BTC"), ("RNDR", "RENDER"),
        ("ethereum:0x514910771AF9Ca656af840dff83E8264EcF986CA", "LINK"), ("LUNA", "LUNA"), ("STX", "STX"), ("us dollar", "USD"),
    ],
)  # fmt: skip
def test_a_name_without_a_venue_is_one_of_the_platform_or_of_everybody(name: str, symbol: str) -> None:
    found = shipped().resolve(name)

    assert isinstance(found, Asset)
    assert found.symbol == symbol


def test_unknown_and_ambiguous_are_values_and_no_guesses() -> None:
    registry = shipped()

    assert registry.resolve("NOSUCHCOIN", "kraken", NOW) == Unknown("NOSUCHCOIN", "kraken", NOW)
    assert registry.resolve("BCC") == Ambiguous("BCC", None, None, ("BCH", "BITCONNECT"))
    assert registry.resolve("LUNA", "binance") == Ambiguous("LUNA", "binance", None, ("LUNC", "LUNA"))
    assert isinstance(registry.resolve("ВТС"), Unknown)


def test_a_migration_with_a_ratio_leaves_two_assets_and_a_rename_leaves_one() -> None:
    registry = shipped()
    lend = next(each for each in registry.migrations if each.old == "LEND")

    assert (lend.new, lend.old_units, lend.new_units) == ("AAVE", 100, 1)
    assert (registry.asset("LEND"), registry.asset("AAVE")) != (None, None)
    for each in registry.renames:
        assert registry.asset(each.new) is not None
    assert registry.asset("MATIC") is None


def test_what_a_user_maps_goes_before_what_is_shipped() -> None:
    mine = {"own": {"AUSC": {"name": "Aus Cash", "coingecko": "aus-cash"}}, "aliases": {"coinspot:AUS": "AUSC", "coinspot:LUNA": "LUNA"}}

    registry = registry_with(AssetsConfig.model_validate(mine))

    assert [registry.symbol_of("coinspot", ticker, NOW) for ticker in ("aus", "luna", "btc")] == ["AUSC", "LUNA", "BTC"]
    assert registry.of_price_id("coingecko:aus-cash") == registry.asset("AUSC")
    assert findings(registry) == []
    assert shipped().symbol_of("coinspot", "aus", NOW) == "COINSPOT:AUS"


def test_an_alias_for_a_symbol_that_no_asset_has_is_refused() -> None:
    with pytest.raises(ValueError, match="coinspot:AUS is mapped to AUSC, but no asset has that symbol"):
        AssetsConfig.model_validate({"aliases": {"coinspot:AUS": "AUSC"}})


@pytest.mark.parametrize("symbol", ["BTC", "ETH", "DOGE", "AUD", "SOL", "LUNC", "LUNA"])
def test_a_venue_is_asked_by_its_own_ticker_and_that_leads_back(symbol: str) -> None:
    registry = shipped()
    ticker = registry.ticker_of("kraken", symbol)

    assert ticker == {"BTC": "XBT", "DOGE": "XDG", "LUNC": "LUNA", "LUNA": "LUNA2"}.get(symbol, symbol)
    assert registry.symbol_of("kraken", ticker, NOW) == symbol


@pytest.mark.parametrize(
    "name", ["B\u200bTC", "BTC\u202e", "ВТС", "ΒTC", "BТC", "", " ", "NFT|||0x1|||2", "a:b", "x" * 41, "BTC\x00", "BTC\u00adX"]
)
def test_a_name_that_imitates_a_ticker_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"ticker|NFT"):
        clean_ticker(name)


@pytest.mark.parametrize(
    ("name", "ticker"), [("ＢＴＣ", "BTC"), (" btc\n", "BTC"), ("1inch", "1INCH"), ("币安人生", "币安人生"), ("XBT.M", "XBT.M")]
)
def test_a_name_in_another_form_is_cleaned(name: str, ticker: str) -> None:
    assert clean_ticker(name) == ticker


@given(st.text(max_size=60))
def test_cleaning_is_stable_and_lets_nothing_invisible_through(name: str) -> None:
    try:
        ticker = clean_ticker(name)
    except ValueError:
        return

    assert clean_ticker(ticker) == ticker
    assert ":" not in ticker
    assert all(unicodedata.category(character)[0] not in "CZM" for character in ticker)
    assert shipped().symbol_of("coinspot", name, NOW) == shipped().symbol_of("coinspot", ticker, NOW)


def test_every_recorded_ticker_of_coinspot_and_kraken_is_known_or_named_by_its_venue(shared: Path) -> None:
    registry, unknown = shipped(), set[str]()
    kraken = json.loads((shared / "payloads" / "ohlcv" / "kraken_ticker_all_trim.json").read_bytes())["result"]
    for market in kraken:
        for ticker in market.partition(":")[0].split("/"):
            symbol = registry.symbol_of("kraken", ticker, NOW)
            assert registry.asset(symbol) is not None or symbol == f"KRAKEN:{ticker}"
            unknown |= {symbol} if ":" in symbol else set()
    for file in sorted((shared / "payloads" / "coinspot").glob("pubapi*.json")):
        for row in _quotes(file):
            assert registry.asset(row.symbol) is not None
    assert len(unknown) < 15


def test_coinspots_own_tickers_of_2026_are_the_coins_they_stand_for(shared: Path) -> None:
    found = [row.symbol for row in _quotes(shared / "payload-shapes" / PRICES.name / "tickers_2026.json")]

    expected = "BTC XLM NEO REV BCH BSV IOTA XNO GLM POL RENDER S A KAIA LUNC LUNA USTC SKY HEI LIT VIC RON BTT LYX COINSPOT:AUS"
    assert found == [*expected.split(), "COINSPOT:AGS", "1000SATS"]


def _quotes(file: Path) -> list[Any]:
    parsed = parse_payload(PRICES, Payload(PRICES.name, file.read_bytes(), NOW, ""), PRICES.config())
    assert not parsed.rejected
    return list(parsed.rows)
