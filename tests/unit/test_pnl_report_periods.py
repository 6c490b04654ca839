"""Windows and periods are half-open, go by the clocks of a zone, and lose nothing at their bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.report.periods import PERIOD_KINDS, PeriodKind, Window, period_of

SYDNEY = ZoneInfo("Australia/Sydney")
ZONES = (UTC, SYDNEY, ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/New_York"), ZoneInfo("Africa/Cairo"))
MOMENTS = st.integers(1_230_940_800, 2_208_988_800).map(lambda second: datetime.fromtimestamp(second, UTC))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("kind", "moment", "label", "end"),
    [
        ("hour", "2026-01-31T23:59:59.999999+00:00", "2026-01-31T23:00+00:00", "2026-02-01T00:00+00:00"),
        ("day", "2026-02-01T00:00:00+00:00", "2026-02-01", "2026-02-02T00:00+00:00"),
        ("week", "2026-01-01T00:00:00+00:00", "2026-W01", "2026-01-05T00:00+00:00"),
        ("week", "2027-01-03T23:00:00+00:00", "2026-W53", "2027-01-04T00:00+00:00"),
        ("month", "2028-02-29T12:00:00+00:00", "2028-02", "2028-03-01T00:00+00:00"),
        ("month", "2026-12-31T23:59:59+00:00", "2026-12", "2027-01-01T00:00+00:00"),
    ],
)
def test_periods_are_those_of_the_calendar(kind: PeriodKind, moment: str, label: str, end: str) -> None:
    period = period_of(at(moment), kind)

    assert (period.label, period.end) == (label, at(end))


@given(MOMENTS, st.sampled_from(PERIOD_KINDS), st.sampled_from(ZONES))
def test_every_instant_lies_in_one_period_and_its_bounds_belong_to_the_next(moment: datetime, kind: PeriodKind, zone: ZoneInfo) -> None:
    period = period_of(moment, kind, zone)

    assert period.start <= moment < period.end
    assert period_of(period.start, kind, zone) == period
    assert period_of(period.end - timedelta(microseconds=1), kind, zone) == period
    assert period_of(period.end, kind, zone).start == period.end


def test_an_hour_that_clocks_show_twice_is_two_periods() -> None:
    first, second = (period_of(at(f"2026-04-04T{hour}:30:00+00:00"), "hour", SYDNEY) for hour in ("15", "16"))

    assert (first.label, second.label) == ("2026-04-05T02:00+11:00", "2026-04-05T02:00+10:00")
    assert first.end == second.start


def test_a_day_on_which_clocks_change_is_longer_or_shorter() -> None:
    longer, shorter = (period_of(at(f"{day}T02:00:00+00:00"), "day", SYDNEY) for day in ("2026-04-05", "2026-10-04"))

    assert (longer.end - longer.start, shorter.end - shorter.start) == (timedelta(hours=25), timedelta(hours=23))


def test_a_window_has_its_start_and_not_its_end() -> None:
    window = Window(at("2026-01-01T00:00+00:00"), at("2026-02-01T00:00+00:00"))

    assert [window.has(at(f"2026-{day}T00:00+00:00")) for day in ("01-01", "01-31", "02-01")] == [True, True, False]
    assert Window().has(at("1990-01-01T00:00+00:00"))


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(BadInputError, match="from must be before to"):
        Window(at("2026-02-01T00:00+00:00"), at("2026-02-01T00:00+00:00"))
