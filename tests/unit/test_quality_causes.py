"""From failed checks to causes, where what is known of them is not all: hysteresis, rows that are not named, silence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from omc_infra.alerts import Alert, Cause
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.quality.causes import findings_of
from omc_pipeline.quality.report import CheckOutcome
from omc_pipeline.quality.score import LedgerScore, Scored, ledger_score

NOW = datetime(2026, 11, 20, tzinfo=UTC)
SOURCE = "exchange_coinspot_prices"
CANDLES = "glass_market_candles"
UNCROSSED = CheckOutcome(
    name="quote_uncrossed",
    ledger="exchange",
    source=SOURCE,
    dimension="accuracy",
    severity="critical",
    blocking=True,
    passed=False,
    score=0.2,
    judged=True,
    value=0.9,
    observed="0.9",
    expected=">= 1",
    rows=10,
    window_from=NOW,
    window_to=NOW,
    description="No bid is above its ask.",
    examples=("BTC AUD 2026-11-20T00:00:00+00:00",),
    advice="Compare with the venue.",
)
LOOKED = replace(UNCROSSED, name="looked", dimension="timeliness", score=0.0, observed=None, examples=())
PRESENT = replace(UNCROSSED, name="quote_present", dimension="completeness", passed=True, score=1.0, examples=())


def alert(kind: str, subject: str, *checks: str, source: str = SOURCE) -> Alert:
    times: dict[str, Any] = dict.fromkeys(("resolved_at", "acknowledged_at", "snoozed_until", "announced_at", "recovery_announced_at"))
    return Alert(
        1, "ledger exchange", source, kind, subject, "high", 0.1, "s", checks, (), "a", "p", opened_at=NOW, confirmed_at=NOW,
        acknowledged_by="", announced_severity=None, **times,
    )  # fmt: skip


def found(*outcomes: CheckOutcome, known: tuple[Alert, ...] = (), source: str = SOURCE) -> list[Cause]:
    scored = [Scored(outcome.dimension, outcome.severity, outcome.score if outcome.judged else None) for outcome in outcomes]
    score: LedgerScore = ledger_score({source: scored})
    findings = findings_of("exchange", score, {source: outcomes}, discover_sources(), 0.7, known)
    return [finding.cause for finding in findings if finding.cause.kind != "ledger"]


BTC, ETH = Cause(SOURCE, "symbol", "BTC"), Cause(SOURCE, "symbol", "ETH")
AT_THE_LIMIT = tuple(f"BTC AUD 2026-11-20T00:0{number}:00+00:00" for number in range(3))


def test_a_check_that_names_one_symbol_has_it_for_a_cause() -> None:
    assert found(UNCROSSED) == [BTC]


def test_an_open_cause_stays_while_its_check_fails_without_naming_all_its_rows() -> None:
    known = (alert("symbol", "ETH", "quote_uncrossed"),)

    assert found(replace(UNCROSSED, examples=AT_THE_LIMIT), known=known) == [BTC, ETH]
    assert found(UNCROSSED, known=known) == [BTC]


def test_a_source_that_falls_silent_ends_no_alert_of_a_symbol_that_is_still_wrong() -> None:
    known = (alert("symbol", "BTC", "quote_uncrossed"),)

    assert found(LOOKED, UNCROSSED, known=known) == [Cause(SOURCE, "source"), BTC]
    assert found(LOOKED, UNCROSSED) == [Cause(SOURCE, "source")]


def test_a_warning_that_leaves_its_dimension_good_enough_is_no_cause() -> None:
    warning = replace(UNCROSSED, severity="warning", score=0.2)
    good = [replace(UNCROSSED, name=f"quote_{name}", passed=True, score=1.0, severity="critical", examples=()) for name in "abc"]

    assert found(warning, *good) == []


def test_an_open_cause_ends_well_above_the_threshold_only() -> None:
    known = (alert("table", "quote", "quote_wide"),)
    wide = replace(UNCROSSED, name="quote_wide", severity="warning", examples=(), score=0.72)

    ended = [bool(found(replace(wide, score=score), known=known)) for score in (0.72, 0.76)]

    assert ended == [True, False]
    assert found(wide) == []


def test_the_symbol_of_a_candle_is_found_in_its_key_and_in_words_of_a_check() -> None:
    examples = ("kraken SOL AUD 1h 2026-11-20T00:00:00+00:00", "SOL twice")
    candle = replace(UNCROSSED, source=CANDLES, name="market_candle_bounds", examples=examples)

    assert found(candle, source=CANDLES) == [Cause(CANDLES, "symbol", "SOL")]


def test_what_was_not_judged_is_no_cause() -> None:
    assert found(replace(UNCROSSED, judged=False), PRESENT) == []


def test_a_check_that_holds_but_scores_low_is_not_called_failed() -> None:
    late = replace(LOOKED, passed=True, score=0.3, observed="174 s", expected="<= 180 s")
    outcomes = (late, PRESENT)
    score = ledger_score({SOURCE: [Scored(each.dimension, each.severity, each.score) for each in outcomes]})

    (finding, *_) = findings_of("exchange", score, {SOURCE: outcomes}, discover_sources(), 0.7, ())

    assert "barely so, 174 s where the bound is <= 180 s" in finding.summary
