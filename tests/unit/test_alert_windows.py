"""Maintenance windows are read as people write them, in UTC, and cover what they say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from omc_infra.alerts.windows import window_of

SATURDAY = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "hour", "minute", "covers"),
    [
        ("daily 02:00-03:30", 2, 0, True),
        ("daily 02:00-03:30", 3, 29, True),
        ("daily 02:00-03:30", 3, 30, False),
        ("daily 02:00-03:30", 1, 59, False),
        ("sat 02:00-03:30", 2, 30, True),
        ("sun 02:00-03:30", 2, 30, False),
        ("fri 23:00-01:00", 0, 59, True),
        ("sat 23:00-01:00", 0, 59, False),
        ("sat 23:00-01:00", 23, 0, True),
        ("sat 00:00-00:00", 12, 0, True),
        ("2026-11-28T01:00/2026-11-28T05:00", 4, 59, True),
        ("2026-11-28T01:00/2026-11-28T05:00", 5, 0, False),
    ],
)
def test_a_window_covers_its_time(written: str, hour: int, minute: int, covers: bool) -> None:
    assert window_of(written).covers("glass_fx", SATURDAY.replace(hour=hour, minute=minute)) is covers


def test_a_window_covers_the_sources_of_its_pattern() -> None:
    window = window_of("daily 00:00-23:59 glass_*")

    assert [window.covers(source, SATURDAY) for source in ("glass_fx", "human_news")] == [True, False]


@pytest.mark.parametrize(
    "written",
    ["", "daily", "daily 2:00-3:00", "daily 02:00-25:00", "day 02:00-03:00", "2026-11-28T05:00/2026-11-28T01:00",
     "2026-13-01T00:00/2026-12-01T00:00",
     "daily 02:00-03:00 a b", "daily ٠٢:00-03:00"],
)  # fmt: skip
def test_what_is_no_window_is_refused_with_examples(written: str) -> None:
    with pytest.raises(ValueError, match="must be like `daily"):
        window_of(written)
