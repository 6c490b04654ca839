"""The table that decides what kind of process a run gets."""

from __future__ import annotations

import pytest

from omc_infra.errors import ConfigurationError
from omc_infra.runs.routing import WISH_TAG, rules_of, target_of


@pytest.mark.parametrize(
    ("tags", "target"),
    [
        ({}, "warm"),
        ({"dagster/backfill": "abc"}, "process"),
        ({"dagster/asset_partition_range_start": "2026-01-01"}, "process"),
        ({WISH_TAG: "process"}, "process"),
        ({WISH_TAG: "elsewhere", "dagster/backfill": "abc"}, "elsewhere"),
        ({WISH_TAG: "warm", "dagster/backfill": "abc"}, "warm"),
        ({WISH_TAG: "nonsense"}, "warm"),
    ],
)
def test_a_run_without_rule_is_warm_a_backfill_is_not_and_a_wish_wins(tags: dict[str, str], target: str) -> None:
    assert target_of("collect_glass", tags) == target


def test_configured_rules_come_after_a_runs_own_wish_and_before_the_table() -> None:
    rules = rules_of([{"job": "export_*", "to": "elsewhere"}, {"tag": "dagster/backfill", "value": "small*", "to": "warm"}])

    assert target_of("export_lake", {}, rules) == "elsewhere"
    assert target_of("export_lake", {WISH_TAG: "process"}, rules) == "process"
    assert target_of("collect_glass", {"dagster/backfill": "small-1"}, rules) == "warm"
    assert target_of("collect_glass", {"dagster/backfill": "large-1"}, rules) == "process"


def test_a_rule_of_tag_and_job_needs_both() -> None:
    rules = rules_of([{"job": "pnl", "tag": "buckets", "value": "64", "to": "process"}])

    assert target_of("pnl", {"buckets": "64"}, rules) == "process"
    assert target_of("pnl", {"buckets": "1"}, rules) == "warm"
    assert target_of("pnl", {}, rules) == "warm"
    assert target_of("other", {"buckets": "64"}, rules) == "warm"


@pytest.mark.parametrize(("rule", "said"), [({"to": "moon", "job": "x"}, "no target 'moon'"), ({"to": "warm"}, "needs a tag or a job")])
def test_a_rule_that_means_nothing_is_refused(rule: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        rules_of([rule])
