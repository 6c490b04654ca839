"""The judge: real Great Expectations over a row of facts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from omc_pipeline.quality.check import Check
from omc_pipeline.quality.judge import judge


def at_least(name: str, low: float) -> Check:
    return Check(name, "accuracy", "critical", "", fact="", low=low)


def test_bounds_are_inclusive_and_open_where_none_is_given() -> None:
    checks = [
        at_least("low_met", 0.5),
        at_least("low_missed", 0.5),
        Check("high_met", "timeliness", "warning", "", fact="", high=60),
        Check("high_missed", "timeliness", "warning", "", fact="", high=60),
        Check("band", "accuracy", "info", "", fact="", low=1, high=2),
    ]

    verdicts = judge(checks, {"low_met": 0.5, "low_missed": 0.49, "high_met": 60, "high_missed": 60.1, "band": 2.5})

    assert verdicts == {"low_met": True, "low_missed": False, "high_met": True, "high_missed": False, "band": False}


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_a_fact_that_is_missing_fails(nothing: float | None) -> None:
    assert judge([at_least("a", 0.0), at_least("b", 0.0)], {"a": nothing, "b": 1.0}) == {"a": False, "b": True}


def test_nothing_asked_is_nothing_answered() -> None:
    assert judge([], {}) == {}


def test_threads_judge_at_the_same_time_without_mixing_their_facts() -> None:
    def verdict(number: int) -> dict[str, bool]:
        return judge([at_least(f"f{number}", 10.0)], {f"f{number}": float(number)})

    with ThreadPoolExecutor(4) as pool:
        verdicts = list(pool.map(verdict, range(20)))

    assert verdicts == [{f"f{number}": number >= 10} for number in range(20)]
