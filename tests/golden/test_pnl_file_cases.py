"""Trades as people have them: every published case and every export through the command a user types."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

from omc_infra.errors import BadInputError
from omc_pipeline.commands.pnl import pnl
from omc_pipeline.imports.reading import Asked, read_content
from omc_pipeline.imports.settling import settled
from omc_pipeline.imports.symbols import Names
from omc_pipeline.pnl.amounts import text_of
from omc_pipeline.pnl.compute import compute
from omc_pipeline.pnl.document import read_document
from omc_pipeline.pnl.policy import Method, OversellPolicy
from omc_pipeline.pnl.reading import read_trades
from omc_pipeline.pnl.sequence import as_holdings_allow
from omc_pipeline.pnl.trade import Trade

LAST_DIGIT = Decimal("1e-18")
EXPORTS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "binance_statement": ("binance_statement", {"fills": 1}, ()),
    "binance_trades": ("binance_trades", {"total_realized": "446.8016"}, ()),
    "ccxt_my_trades": ("ccxt_trades", {"fills": 1}, ()),
    "coinbase_v4": ("coinbase_transactions", {"total_realized": "8.01"}, ()),
    "coinspot_orderhistory": ("coinspot_orders", {"total_realized": "3.56"}, ("--file-zone", "Australia/Sydney")),
    "coinspot_sendsreceives": ("coinspot_transfers", {"fills": 2}, ("--file-zone", "Australia/Sydney")),
    "koinly_universal": ("koinly_universal", {"total_realized": "195.6"}, ()),
    "kraken_ledgers": ("kraken_ledgers", {"fills": 1}, ()),
}


def test_every_case_of_a_file_gives_what_is_right_or_says_why_not(shared: Path, subtests: pytest.Subtests) -> None:
    cases = sorted((shared / "pnl-files").glob("*.case.json"))

    assert len(cases) >= 17
    for file in cases:
        case = json.loads(file.read_text())
        with subtests.test(case["name"]):
            expect(file.with_name(case["input"]), case["options"], case["expected"])


def test_every_case_comes_to_the_same_by_the_reader_of_imports(shared: Path, subtests: pytest.Subtests) -> None:
    for file in sorted((shared / "pnl-files").glob("*.case.json")):
        case = json.loads(file.read_text())
        options = dict(zip(case["options"][::2], case["options"][1::2], strict=True))
        quote, content = options.get("--quote"), file.with_name(case["input"]).read_bytes()
        own = read_trades(read_document(content.decode()), "capitalise", quote)
        names = Names(chosen={trade.symbol: trade.symbol for trade in own.trades})
        imported = read_content(content, Asked(quote=quote or "", names=names))
        with subtests.test(case["name"]):
            assert imported is not None
            found = settled([imported], "capitalise", quote)
            assert sums(found.trades, options) == sums(own.trades, options)


def sums(trades: Sequence[Trade], options: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return gain and income of each coin."""
    ordered, _ = as_holdings_allow(trades)
    method, policy = cast("Method", options["--method"]), cast("OversellPolicy", options.get("--oversell-policy", "exclude"))
    return {one.symbol: (text_of(one.realized), text_of(one.income)) for one in compute(ordered, method, policy)}


def test_every_export_is_read_as_it_was_downloaded(shared: Path, subtests: pytest.Subtests) -> None:
    files = sorted((shared / "pnl-files" / "exports").iterdir())

    assert {file.stem for file in files} >= EXPORTS.keys()
    for file in files:
        with subtests.test(file.name):
            name, expected, options = EXPORTS[file.stem]
            found = computed(file, *options)
            assert found["files"][0]["format"] == name
            assert not [row for row in found["exceptions"] if row["kind"] == "unclear_row"]
            for field, value in expected.items():
                assert (found["files"][0] if field == "fills" else found)[field] == value


def test_a_zone_that_no_export_states_is_asked_for_by_name(shared: Path) -> None:
    with pytest.raises(BadInputError, match="--file-zone"):
        computed(shared / "pnl-files" / "exports" / "coinspot_orderhistory.csv")


def expect(file: Path, options: list[str], expected: dict[str, Any]) -> None:
    found = computed(file, *options)
    tolerance = Decimal(expected.get("tolerance", "1e-18"))
    for name in ("total_realized", "income"):
        if name in expected:
            assert abs(Decimal(found[name]) - Decimal(expected[name])) <= tolerance, name
    if "open_lots" in expected:
        assert [[lot["id"], Decimal(lot["qty"]), Decimal(lot["cost"])] for lot in found["open_lots"]] == [
            [lot, Decimal(qty), Decimal(cost)] for lot, qty, cost in expected["open_lots"]
        ]
    if "matches" in expected:
        assert [[match["sell"], match["lot"]] for match in found["matches"]] == expected["matches"]
    if "unmatched" in expected:
        assert {sell: Decimal(qty) for sell, qty in found["unmatched"].items()} == {
            sell: Decimal(qty) for sell, qty in expected["unmatched"].items()
        }


def computed(file: Path, *options: str) -> dict[str, Any]:
    outcome = CliRunner().invoke(pnl, ["compute", "--fills", str(file), *options, "--json"], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    document: dict[str, Any] = json.loads(outcome.stdout)
    return document
