"""Metrics against published packages' numbers on one series, and None wherever one is not defined."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omc_pipeline.pnl.metrics import ReturnMetrics, return_metrics, trade_metrics

ALIKE = 1e-12
EDGES = {"all_positive": [0.01, 0.02, 0.03], "all_zero": [0.0, 0.0, 0.0], "one": [0.01], "all_negative": [-0.01, -0.02]}
NAMES = {"mdd": "max_drawdown", "win_rate": "win_rate_per_day", "profit_factor": "profit_factor_per_day"}
UNDEFINED = {("all_zero", "profit_factor"), ("all_zero", "win_rate")}
"""Where a package answers 0 because nothing was won or lost; there is no such ratio."""


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((shared / "pnl-metrics.json").read_text())
    return document


def test_metrics_equal_the_published_ones(published: dict[str, Any], subtests: pytest.Subtests) -> None:
    returns = [float(value) for value in published["returns"]]
    by_year = {periods: return_metrics(returns, periods_per_year=periods) for periods in (252, 365)}
    riskless = return_metrics(returns, risk_free_per_year=0.03)
    expected = {name: value for name, value in published["values"].items() if name.startswith(("qs.", "ep."))}

    compared = 0
    for name, value in expected.items():
        _, metric, *rest = name.split(".")
        with subtests.test(name):
            if metric in ("sharpe", "sortino", "volatility", "calmar", "cagr") and rest and rest[0] in ("252", "365"):
                ours = getattr(by_year[int(rest[0])], metric)
            elif metric == "sharpe":
                ours = riskless.sharpe
            elif metric in ("max_drawdown", "win_rate", "profit_factor"):
                ours = getattr(by_year[365], NAMES.get(metric, metric))
            elif metric == "comp":
                ours = by_year[365].total_return
            else:
                continue
            compared += 1
            assert ours == pytest.approx(value, rel=ALIKE), name

    assert compared == 27


def test_the_longest_drawdown_lasts_as_long_as_published(published: dict[str, Any]) -> None:
    longest = return_metrics([float(value) for value in published["returns"]]).max_drawdown_periods

    assert longest == published["upstream_ohmycoins"]["max_drawdown_duration"]


@pytest.mark.parametrize("case", EDGES)
def test_edge_cases_equal_the_published_or_are_none_where_those_are_not_finite(case: str, published: dict[str, Any]) -> None:
    ours = asdict(return_metrics(EDGES[case]))

    for name, text in published["edge_cases"][case].items():
        metric = name.split(".")[1]
        value, stated = ours[NAMES.get(metric, metric)], float(text)
        if not math.isfinite(stated) or (case, metric) in UNDEFINED:
            assert value is None, name
        else:
            assert value == pytest.approx(stated, rel=ALIKE), name


def test_deviation_is_of_a_sample_and_that_of_losses_over_all_periods() -> None:
    found = return_metrics([0.01, 0.02, -0.03, 0.04])

    assert found.volatility == pytest.approx(math.sqrt(0.0026 / 3) * math.sqrt(365))
    assert found.sharpe == pytest.approx(0.01 / math.sqrt(0.0026 / 3) * math.sqrt(365))
    assert found.sortino == pytest.approx(0.01 / math.sqrt(0.0009 / 4) * math.sqrt(365))


def test_of_nothing_nothing_is_known() -> None:
    found = asdict(return_metrics([]))

    assert found.pop("periods") == 0
    assert set(found.values()) == {None}


def test_equal_returns_have_no_sharpe_however_their_mean_is_rounded() -> None:
    assert return_metrics([0.1] * 7).sharpe is None
    assert return_metrics([0.1] * 7).volatility == 0


def test_a_drawdown_counts_the_start_as_a_high_and_lasts_until_the_next_high() -> None:
    found = return_metrics([-0.5, 0.5, 0.4, -0.1, 0.2])

    assert found.max_drawdown == -0.5
    assert found.max_drawdown_periods == 2


def test_losing_everything_has_no_growth_rate() -> None:
    found = return_metrics([0.1, -1.0])

    assert (found.total_return, found.cagr, found.calmar, found.max_drawdown) == (-1, None, None, -1)


def test_trades_of_no_gain_are_neither_won_nor_lost() -> None:
    found = trade_metrics([30, 0, -10, 0, 11])

    assert (found.closed_trades, found.wins, found.losses) == (5, 2, 1)
    assert (found.win_rate_per_trade, found.profit_factor_per_trade) == (pytest.approx(2 / 3), 4.1)
    assert (found.average_win, found.average_loss, found.largest_win, found.largest_loss) == (20, -10, 30, -10)


def test_without_losses_there_is_no_profit_factor_and_no_loss() -> None:
    found = trade_metrics([5, 7])

    assert (found.profit_factor_per_trade, found.average_loss, found.largest_loss, found.win_rate_per_trade) == (None, None, None, 1)
    assert trade_metrics([]).win_rate_per_trade is None


def test_growth_beyond_a_float_is_not_known_but_the_rest_is() -> None:
    found = return_metrics([50.0] * 200)

    assert (found.total_return, found.cagr, found.max_drawdown, found.win_rate_per_day) == (None, None, None, 1)


@given(st.lists(st.floats(min_value=-1, max_value=50), max_size=400))
def test_no_metric_is_ever_infinite_or_no_number(returns: list[float]) -> None:
    found: ReturnMetrics = return_metrics(returns)

    assert all(value is None or math.isfinite(value) for value in asdict(found).values()), found
