"""When a scheduled run samples: at once, then at the marks of its own cadence, never into the next run's time."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.sampling import next_mark
from omc_pipeline.collection.source import Endpoint
from omc_pipeline.collection.tally import Collection, together
from omc_pipeline.ledgers.write import Appended

QUOTES = dataclasses.replace(discover_sources()["exchange_coinspot_prices"].endpoints[0], cron="* * * * *", every_s=60, sample_every_s=15)
TICK = datetime(2026, 9, 21, 14, 35, tzinfo=UTC)


def _marks(started_s: float, *, took_s: float = 0.5, source: Endpoint = QUOTES) -> list[float]:
    """Return at which seconds after its tick a run samples that begins so late and whose samples take so long."""
    now, sampled = TICK + timedelta(seconds=started_s), [started_s]
    while (mark := next_mark(source, TICK, now + timedelta(seconds=took_s))) is not None:
        now = max(mark, now + timedelta(seconds=took_s))
        sampled.append((now - TICK).total_seconds())
    return sampled


def test_a_run_that_starts_soon_after_its_tick_samples_at_once_and_at_each_mark() -> None:
    assert _marks(0.6) == [0.6, 15, 30, 45]


def test_a_mark_that_is_all_but_there_counts_as_sampled() -> None:
    assert _marks(12) == [12, 30, 45]


@pytest.mark.parametrize(("started_s", "samples"), [(9, 4), (20, 3), (33, 2), (44, 1), (59, 1), (61, 1), (86_400, 1)])
def test_a_late_run_samples_less_and_ends_before_the_next_is_due(started_s: float, samples: int) -> None:
    marks = _marks(started_s)

    assert len(marks) == samples
    assert max(marks[1:], default=0) < 60


def test_slow_samples_skip_marks_rather_than_pile_up() -> None:
    assert _marks(0, took_s=20) == [0, 30]


def test_a_run_that_no_schedule_started_takes_one_sample() -> None:
    assert next_mark(QUOTES, None, TICK) is None


def test_a_source_that_is_not_sampled_is_collected_once() -> None:
    assert _marks(0, source=dataclasses.replace(QUOTES, sample_every_s=None)) == [0]


def test_a_run_whose_clock_is_behind_its_schedule_waits_for_the_first_mark_after_its_tick() -> None:
    assert next_mark(QUOTES, TICK, TICK - timedelta(seconds=2)) == TICK + timedelta(seconds=15)


def test_the_samples_of_a_run_are_told_as_one_collection() -> None:
    first, second = TICK, TICK + timedelta(seconds=15)
    samples = [
        Collection("s", {"exchange.quote": Appended(8, 0, 0)}, 1, 1, first, first, 0.4),
        Collection("s", {"exchange.quote": Appended(7, 1, 2)}, 0, 1, second, second, 0.2),
        Collection("s", {"exchange.quote": Appended()}, 3, 1),
    ]

    assert together(samples[:1]) == samples[0]
    assert together(samples) == Collection("s", {"exchange.quote": Appended(15, 1, 2)}, 4, 3, first, second, None)
