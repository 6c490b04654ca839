"""Scores: properties of the arithmetic, and the faults of monitors that average."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omc_pipeline.ledgers.exchange import QUOTE
from omc_pipeline.quality.check import DIMENSIONS, Check, row_check
from omc_pipeline.quality.score import (
    LedgerScore,
    Scored,
    check_score,
    dimension_score,
    duration_text,
    is_alerting,
    ledger_score,
    platform_score,
    ramp,
)

UNIT = st.floats(0, 1)
SCORED = st.builds(Scored, st.sampled_from(DIMENSIONS), st.sampled_from(["critical", "warning", "info"]), st.none() | UNIT)
AGE = Check("age", "timeliness", "critical", "", fact="", high=30, best=15, worst=60, unit="s")
LAG = Check("lag", "timeliness", "warning", "", fact="", high=30, best=15, worst=60, unit="s", needs_rows=False)


@given(st.floats(-1e9, 1e9), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_ramp_stays_within_zero_and_one(value: float, best: float, worst: float) -> None:
    if best != worst:
        assert 0 <= ramp(value, best, worst) <= 1


@given(UNIT, UNIT)
def test_an_older_row_never_scores_better(one: float, other: float) -> None:
    younger, older = sorted((one * 90, other * 90))

    assert (check_score(AGE, younger, passed=True) or 0) >= (check_score(AGE, older, passed=True) or 0)


def test_a_ramp_holds_its_ends_and_its_middle() -> None:
    assert [check_score(AGE, age, passed=age <= 30) for age in (0, 15, 37.5, 60, 600)] == [1, 1, 0.5, 0, 0]


def test_no_data_scores_zero_where_rows_are_needed_and_is_left_out_where_they_are_not() -> None:
    assert check_score(AGE, None, passed=False) == 0.0
    assert check_score(LAG, None, passed=True) is None


def test_one_wrong_row_among_a_thousand_still_falls_below_the_alert_threshold_where_it_is_critical() -> None:
    critical = row_check(QUOTE, "uncrossed", "bid <= ask", "")
    reported = row_check(QUOTE, "spread", "true", "", severity="warning")

    assert check_score(critical, 0.999, passed=False) == 0.5
    assert check_score(reported, 0.999, passed=False) == pytest.approx(0.998)


@given(st.lists(SCORED))
def test_a_dimension_never_scores_above_its_worst_critical_check(checks: list[Scored]) -> None:
    score = dimension_score(checks)

    critical = [check.score for check in checks if check.severity == "critical" and check.score is not None]
    assert score is None or 0 <= score <= min([1.0, *critical])


@given(st.lists(SCORED), UNIT)
def test_what_is_reported_only_changes_no_score(checks: list[Scored], score: float) -> None:
    assert dimension_score([*checks, Scored("accuracy", "info", score)]) == dimension_score(checks)


def test_a_failing_warning_weighs_half_of_a_critical_check() -> None:
    assert dimension_score([Scored("accuracy", "critical", 1.0), Scored("accuracy", "warning", 0.0)]) == pytest.approx(2 / 3)


@given(st.dictionaries(st.text(max_size=3), st.lists(SCORED), max_size=4))
def test_a_ledger_is_as_good_as_its_worst_source_in_its_worst_dimension(sources: dict[str, list[Scored]]) -> None:
    score = ledger_score(sources)

    for dimension in DIMENSIONS:
        of_sources = [dimension_score(check for check in checks if check.dimension == dimension) for checks in sources.values()]
        assert score.of(dimension) == min((one for one in of_sources if one is not None), default=0.0)
    assert score.overall_score == min(score.of(dimension) for dimension in DIMENSIONS) <= score.mean_score + 1e-12


def test_a_ledger_nobody_judged_scores_zero_and_so_does_a_platform_without_ledgers() -> None:
    assert ledger_score({}).overall_score == 0.0
    assert platform_score([]) == 0.0


def test_one_dead_ledger_is_not_averaged_away() -> None:
    sound, dead = LedgerScore(1.0, 1.0, 1.0), LedgerScore(1.0, 0.0, 1.0)

    assert dead.overall_score == 0.0
    assert platform_score([sound, sound, sound, dead]) == 0.0


@given(UNIT, UNIT)
def test_an_alert_that_is_open_closes_only_above_the_threshold_at_which_it_opened(score: float, threshold: float) -> None:
    opens, stays = (is_alerting(score, threshold, was_open=was_open) for was_open in (False, True))

    assert opens == (score < threshold)
    assert stays or not opens


def test_an_alert_opens_below_the_threshold_and_closes_five_hundredths_above() -> None:
    assert [is_alerting(score, 0.7, was_open=False) for score in (0.69, 0.70, 0.74)] == [True, False, False]
    assert [is_alerting(score, 0.7, was_open=True) for score in (0.69, 0.74, 0.75)] == [True, True, False]
    assert not is_alerting(1.0, 1.0, was_open=True)


def test_a_span_is_written_with_its_days() -> None:
    assert duration_text(5 * 86400 + 3600) == "5 d 1 h 0 min"
    assert [duration_text(s) for s in (0.25, 61, 7260, -90)] == ["0.25 s", "1 min 1 s", "2 h 1 min", "-1 min 30 s"]


def test_the_mean_of_a_ledger_is_weighted() -> None:
    assert LedgerScore(1.0, 0.0, 0.0).mean_score == pytest.approx(0.3)
    assert LedgerScore(0.0, 1.0, 0.0).mean_score == pytest.approx(0.4)
    assert LedgerScore(0.0, 1.0, 0.0, {"completeness": 0.5, "timeliness": 0.0, "accuracy": 0.5}).mean_score == 0.0
