"""Many expectations shown as few checks."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest

from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.orchestration.checks import check_result
from omc_pipeline.quality.fold import SOURCE_CHECK, FoldedOutcome, fold, folded_checks
from omc_pipeline.quality.report import CheckOutcome
from omc_pipeline.quality.suite import Suite, suite_of

NOW = datetime(2026, 11, 27, tzinfo=UTC)
SOURCES = discover_sources()
QUOTES = suite_of(SOURCES["exchange_coinspot_prices"])


def judged(suite: Suite, *failing: str) -> list[CheckOutcome]:
    return [
        CheckOutcome(
            name=check.name,
            ledger=suite.ledger,
            source=suite.source,
            dimension=check.dimension,
            severity=check.severity,
            blocking=check.blocking,
            passed=check.name not in failing,
            score=0.5 if check.name in failing else 1.0,
            judged=True,
            value=1.0,
            observed="1",
            expected=check.expected,
            rows=10,
            window_from=NOW,
            window_to=NOW,
            description=check.description,
            advice=check.advice,
            examples=("BTC AUD",) if check.name in failing else (),
        )
        for check in suite.checks
    ]


def folded(name: str, *failing: str) -> FoldedOutcome:
    return next(outcome for outcome in fold(QUOTES, judged(QUOTES, *failing)) if outcome.check.name == name)


@pytest.mark.parametrize("name", SOURCES)
def test_every_expectation_is_in_exactly_one_check_and_a_table_has_at_most_three(name: str) -> None:
    suite = suite_of(SOURCES[name])
    checks = folded_checks(suite)

    members = [member for check in checks for member in check.members]
    assert sorted(members) == sorted(check.name for check in suite.checks)
    assert len({check.name for check in checks}) == len(checks)
    assert len(checks) <= 1 + 3 * len(suite.tables)
    assert [check.name for check in checks if check.dimension is None] == [SOURCE_CHECK]


def test_a_failed_blocking_expectation_makes_its_check_an_error() -> None:
    outcome = folded("quote_accuracy", "quote_uncrossed")

    assert (outcome.check.blocking, outcome.passed, outcome.is_error) == (True, False, True)


def test_a_failed_expectation_that_does_not_block_makes_its_check_a_warning() -> None:
    assert not folded("quote_accuracy", "quote_spread").is_error
    assert not folded("quote_completeness", "quote_present").is_error
    assert not folded("quote_completeness", "quote_present").passed


def test_an_expectation_that_is_only_information_fails_no_check() -> None:
    balances = suite_of(SOURCES["exchange_coinspot_account"])

    outcome = next(o for o in fold(balances, judged(balances, "balance_matches_fills")) if o.check.name == "balance_accuracy")

    assert outcome.passed
    assert not outcome.outcomes[0].passed


def test_what_dagster_shows_lists_failing_expectations_first_with_their_rows() -> None:
    result = check_result(SOURCES["exchange_coinspot_prices"], folded("quote_accuracy", "quote_uncrossed"))

    records = result.metadata["expectations"].value.records  # type: ignore[union-attr]
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert [records[0].data[name] for name in ("expectation", "verdict", "severity", "examples")] == [
        "quote_uncrossed",
        "failed",
        "critical, blocking",
        "BTC AUD",
    ]
    assert "quote_uncrossed: 1 instead of" in (result.description or "")
    assert result.metadata["failed"].value == 1


def test_what_dagster_shows_says_what_to_do_about_a_failing_expectation_only() -> None:
    result = check_result(SOURCES["exchange_coinspot_prices"], folded("quote_accuracy", "quote_uncrossed"))

    said = [record.data["what to do"] for record in result.metadata["expectations"].value.records]  # type: ignore[union-attr]

    assert "Compare the market with the venue's page." in str(said[0])
    assert set(said[1:]) == {""}
