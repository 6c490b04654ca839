"""What is true of every source's suite, however the source came to be."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args

import pytest

from omc_infra.http import HostPolicy
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.source import Endpoint, Source
from omc_pipeline.ledgers.table import LEDGERS, LedgerTable, Row
from omc_pipeline.quality.check import DIMENSIONS, Severity
from omc_pipeline.quality.suite import RULES, check_specs, suite_of

SOURCES = list(discover_sources().values())


@dataclass(frozen=True, slots=True)
class Candle(Row):
    symbol: str
    observed_at: datetime
    close: Decimal


Candle.table = LedgerTable("glass", "candle", Candle, key=("symbol", "observed_at"), clock="observed_at")


def dropped_in(*tables: LedgerTable, every_s: int = 60) -> Source:
    def never(*_: Any) -> Any:
        raise AssertionError("a suite needs neither fetch nor parse")

    host = HostPolicy(live_urls=("https://example.invalid",), sandbox_path="/x", requests_per_s=1)
    endpoints = (Endpoint("all", "* * * * *", every_s, never),)
    return Source(f"{tables[0].ledger}_new", "New", tables, endpoints, never, "https://example.invalid", host)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_source_is_judged_in_all_three_dimensions(source: Source) -> None:
    assert {spec.dimension for spec in check_specs(source)} == set(DIMENSIONS)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_check_has_a_name_of_its_own_that_dagster_accepts_and_says_what_it_asks(source: Source) -> None:
    specs = check_specs(source)

    assert len({spec.name for spec in specs}) == len(specs)
    assert all(re.fullmatch(r"[a-z0-9_]{1,63}", spec.name) for spec in specs), "PostgreSQL cuts names at 63 characters"
    assert all(spec.description.endswith(".") and spec.severity in get_args(Severity) for spec in specs)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_what_blocks_is_critical_and_every_check_has_a_bound_it_can_fail(source: Source) -> None:
    for check in suite_of(source).checks:
        assert check.severity == "critical" or not check.blocking
        assert check.low is not None or check.high is not None
        assert (check.best is None) == (check.worst is None)


def test_every_ledger_is_judged() -> None:
    assert {source.ledger for source in SOURCES} == set(LEDGERS)
    assert {name.split(".")[0] for name in RULES} == set(LEDGERS)


def test_a_wrong_quote_or_fill_blocks_what_is_downstream() -> None:
    blocking = {spec.name for source in SOURCES for spec in check_specs(source) if spec.blocking}

    assert {"quote_positive", "quote_uncrossed", "fill_positive", "fill_arithmetic", "fill_told_once"} <= blocking


def test_a_source_dropped_into_a_ledger_gets_the_checks_of_its_tables_unlisted() -> None:
    quotes = next(source for source in SOURCES if source.name == "exchange_coinspot_prices").tables

    names = {spec.name for spec in check_specs(dropped_in(*quotes))}

    assert {"looked", "quote_fresh", "quote_coverage", "quote_uncrossed"} <= names


def test_a_table_nobody_wrote_rules_for_gets_the_generic_checks() -> None:
    names = {spec.name for spec in check_specs(dropped_in(Candle.table))}

    assert {
        "candle_present",
        "candle_fresh",
        "candle_coverage",
        "candle_required_fields",
        "candle_lag",
        "candle_not_from_the_future",
    } <= names


def test_freshness_is_judged_against_the_cadence_of_the_source() -> None:
    fresh = {
        every_s: next(c for c in suite_of(dropped_in(Candle.table, every_s=every_s)).checks if c.name == "candle_fresh")
        for every_s in (60, 3600)
    }

    assert (fresh[60].best, fresh[60].worst) == (90, 360)
    assert (fresh[3600].best, fresh[3600].worst) == (5400, 21600)


def test_announcing_checks_loads_no_heavy_library() -> None:
    program = """
import sys
import omc_pipeline.quality, omc_pipeline.commands.quality
from omc_pipeline.quality import check_specs
from omc_pipeline.collection.discovery import discover_sources
assert all(check_specs(source) for source in discover_sources().values())
print(sorted({"great_expectations", "pandas", "numpy", "dagster"} & set(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert answer.stdout.strip() == "[]", answer.stderr
