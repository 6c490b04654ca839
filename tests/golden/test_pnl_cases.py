"""Published cases, each through the command a user types."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from omc_pipeline.commands.pnl import pnl

LAST_DIGIT = Decimal("1e-18")


def test_every_published_case_comes_out_as_published(shared: Path, subtests: pytest.Subtests) -> None:
    files = sorted((shared / "pnl-cases").glob("*.json"))

    assert len(files) >= 93
    for file in files:
        with subtests.test(file.stem):
            ours = computed(file)
            expect_case(ours, json.loads(file.read_text()))


def test_a_mark_in_a_case_gives_unrealized_gross_and_net(shared: Path) -> None:
    file = shared / "pnl-cases" / "ghostfolio_novn_partial.json"
    stated = json.loads(file.read_text())["mark"]

    mark = computed(file)["mark"]

    assert {name: Decimal(mark[name]) for name in ("unrealized", "gross", "net")} == {
        name: Decimal(stated[name]) for name in ("unrealized", "gross", "net")
    }


def test_a_method_given_as_option_wins_over_the_case(shared: Path) -> None:
    folder = shared / "pnl-cases"

    hifo = computed(folder / "rp2_test_hifo_B1_fifo.json", "--method", "hifo")

    assert hifo == computed(folder / "rp2_test_hifo_B1_hifo.json")
    assert hifo != computed(folder / "rp2_test_hifo_B1_fifo.json")


def computed(file: Path, *options: str) -> dict[str, Any]:
    outcome = CliRunner().invoke(pnl, ["compute", "--fills", str(file), *options, "--json"], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    document: dict[str, Any] = json.loads(outcome.stdout)
    return document


def expect_case(ours: Mapping[str, Any], case: Mapping[str, Any]) -> None:
    expected = case["expected"]
    stated = Decimal(re.match(r"[0-9.e-]+", case["tolerance"])[0]) + LAST_DIGIT  # type: ignore[index]
    gains = {row["sell"]: row["gain"] for row in ours["realized"]}
    expect_rows(expected["realized"], [row for row in ours["realized"] if expected["realized"]], "sell", {"gain": stated})
    for row in expected.get("realized_exact", ()):
        assert close(gains[row["sell"]], row["gain"], LAST_DIGIT), row
    by = ("sell", "rule") if case["method"] == "uk" else ("sell", "lot")
    expect_rows(expected["matches"], ours["matches"], by, {"qty": Decimal(0), "cost": LAST_DIGIT, "gain": LAST_DIGIT})
    expect_rows(expected["open_lots"], ours["open_lots"], ("id",), {"qty": Decimal(0), "cost": LAST_DIGIT})
    assert {sell: Decimal(qty) for sell, qty in ours["unmatched"].items()} == {
        sell: Decimal(qty) for sell, qty in expected.get("unmatched", {}).items()
    }
    assert [row["kind"] for row in ours["exceptions"]] == ["oversell"] * len(ours["unmatched"])
    for name, tolerance in (("total_realized", stated), ("total_realized_exact", LAST_DIGIT), ("income", LAST_DIGIT)):
        if expected.get(name) is not None:
            assert close(ours[name.removesuffix("_exact")], expected[name], tolerance), name


def expect_rows(expected: Sequence[Any], ours: Sequence[Any], by: Any, tolerances: Mapping[str, Decimal]) -> None:
    names = (by,) if isinstance(by, str) else by
    found = {tuple(row[name] for name in names): row for row in ours}
    assert len(found) == len(ours), "keys are not unique"
    assert found.keys() == {tuple(row[name] for name in names) for row in expected}
    for row in expected:
        for name, tolerance in tolerances.items():
            if name in row:
                assert close(found[tuple(row[key] for key in names)][name], row[name], tolerance), (name, row, found)


def close(ours: str, expected: str, tolerance: Decimal) -> bool:
    return abs(Decimal(ours) - Decimal(expected)) <= tolerance
