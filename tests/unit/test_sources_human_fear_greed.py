"""The index by day: one score a day, today's revised within the hour, nothing at odd times."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from omc_infra.payload import Payload
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.parsing import parse_payload
from omc_pipeline.collection.source import Parsed

INDEX = discover_sources()["human_fear_greed"]
AT = datetime(2026, 9, 8, 14, 35, tzinfo=UTC)


def _parsed(body: bytes) -> Parsed:
    return parse_payload(INDEX, Payload("human_fear_greed", body, AT, ""))


def test_a_score_of_another_hour_is_refused_since_a_day_has_one_score() -> None:
    days = [{"value": "40", "value_classification": "Fear", "timestamp": stamp} for stamp in ("1788825600", "1788829200")]

    parsed = _parsed(json.dumps({"name": "x", "data": days, "metadata": {"error": None}}).encode())

    assert [row.observed_at for row in parsed.rows] == [datetime(2026, 9, 8, tzinfo=UTC)]  # type: ignore[attr-defined]
    assert [rejected.reason for rejected in parsed.rejected] == ["timestamp 2026-09-08T01:00:00Z is no midnight UTC"]


def test_of_odd_times_only_midnights_are_rows(shared: Path) -> None:
    parsed = _parsed((shared / "payload-shapes/human_fear_greed/times.json").read_bytes())

    assert all(row.observed_at.hour == 0 for row in parsed.rows)  # type: ignore[attr-defined]
    refused = {str(rejected.row.get("value", rejected.row.get("score"))) for rejected in parsed.rejected}
    assert {"1", "3", "4", "5", "6", "7", "8", "9"} <= refused, "those of the future too"


def test_todays_score_is_asked_for_each_hour() -> None:
    (endpoint,) = INDEX.endpoints

    assert endpoint.every_s == 3_600
