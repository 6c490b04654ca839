"""``omc bench agents`` on a small database of its own: every figure is there, and nothing that it times fails."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from omc_agents.benches.agents import agents

TOOLS = ("get_price_data", "get_sentiment_data", "get_catalyst_events", "get_order_history", "get_event_study")


@pytest.mark.slow
def test_each_figure_has_its_limit_and_twenty_sessions_are_published() -> None:
    done = CliRunner().invoke(agents, ["--rows", "10000", "--repeats", "20", "--json"], catch_exceptions=False)
    figures = {figure["what"]: figure for figure in json.loads(done.stdout)["figures"]}

    limits = {name: figures[name]["baseline_value"] for name in ("session state p99", "checkpoint p99", "workflow overhead")}
    assert limits == {"session state p99": 20, "checkpoint p99": 10, "workflow overhead": 1.5}
    assert {figures[f"tool {name} p99"]["baseline_value"] for name in TOOLS} == {50}
    assert figures["20 sessions, published"]["value"] == 20
    assert figures["20 sessions"]["value"] > 0.5
    assert figures["20 sessions"]["baseline_value"] > 1.0, "two calls of half a second at least, and the CPU time"
    assert figures["20 sessions, CPU time"]["value"] > 0
