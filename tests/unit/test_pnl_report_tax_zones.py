"""Tax years of other zones than Australian ones: when they begin, what is added up, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import UNIT
from omc_pipeline.pnl.report.document import Question, report_of
from omc_pipeline.pnl.report.export import as_csv
from omc_pipeline.pnl.report.record import MatchRow, Record
from omc_pipeline.pnl.report.sheet import tear_sheet
from omc_pipeline.pnl.report.tax import tax_year
from omc_pipeline.pnl.report.tax_calendar import TaxCalendar

EMPTY = Record("ada", "sandbox", "uk", "capitalise", "exclude", "GBP", (), (), (), tax_zone="Europe/London")
ZONES = (
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/Toronto",
    "Pacific/Auckland",
    "Africa/Johannesburg",
    "Australia/Perth",
)


def match(gain: int, disposed: str, **changes: Any) -> MatchRow:
    at = datetime.fromisoformat(disposed).astimezone(UTC)
    return MatchRow("BTC", "s", "pool", UNIT, 1000 * UNIT, (1000 + gain) * UNIT, None, at, "s104")._replace(**changes)


def document(record: Record, year: int) -> dict[str, Any]:
    return report_of(record, Question(tax_year=year)).document


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        ("Europe/London", "2025-04-06", "2026-04-05"),
        ("Europe/Berlin", "2026-01-01", "2026-12-31"),
        ("America/Toronto", "2026-01-01", "2026-12-31"),
        ("Pacific/Auckland", "2025-04-01", "2026-03-31"),
        ("Africa/Johannesburg", "2025-03-01", "2026-02-28"),
        ("Australia/Perth", "2025-07-01", "2026-06-30"),
    ],
)
def test_a_tax_year_is_named_by_the_year_it_ends_in(zone: str, first: str, last: str) -> None:
    calendar = TaxCalendar(zone)

    assert (calendar.first_day(2026).isoformat(), calendar.last_day(2026).isoformat()) == (first, last)


@given(st.sampled_from(ZONES), st.dates(date(1972, 1, 1), date(2100, 1, 1)))
def test_every_day_lies_in_exactly_the_year_it_is_said_to_lie_in(zone: str, day: date) -> None:
    calendar = TaxCalendar(zone)

    year = calendar.year_of(day)

    assert calendar.first_day(year) <= day <= calendar.last_day(year)


def test_gains_and_losses_are_added_up_by_the_days_of_the_zone_and_nothing_else_is_applied() -> None:
    matches = [
        match(7, "2025-04-05T22:59:59+00:00"),  # the 5th in London: the year before
        match(10, "2025-04-05T23:00:00+00:00"),
        match(-4, "2025-12-01T00:00:00+00:00"),
        match(3, "2026-04-05T22:59:59+00:00"),
        match(100, "2026-01-01T00:00:00+00:00", rule="withdrawal"),
    ]

    found = document(replace(EMPTY, matches=matches), 2026)

    assert (found["tax"]["gains"], found["tax"]["losses"], found["tax"]["net_gain"]) == ("13", "4", "9")
    assert [row["treatment"] for row in found["rows"]] == ["gain", "loss", "gain"]
    assert found["rows"][0]["disposed_on"] == "2025-04-06"
    assert any("No country's rules" in line for line in found["tax"]["assumptions"])
    assert any("6 April" in line for line in found["tax"]["assumptions"])


def test_the_sheet_and_the_table_name_the_zone_and_the_currency() -> None:
    record = replace(EMPTY, matches=[match(10, "2025-06-01T00:00:00+00:00")])

    found = report_of(record, Question(tax_year=2026))

    sheet = tear_sheet(found)
    assert "Tax year 2026 of Europe/London" in sheet
    assert "Australian" not in sheet
    assert 'data-label="GBP"' in sheet
    assert as_csv(found.document).splitlines()[1].startswith("BTC,GBP")


def test_an_australian_zone_has_the_australian_rules_by_its_own_days() -> None:
    late = match(10, "2026-06-30T15:00:00+00:00", acquired_at=datetime(2020, 1, 1, tzinfo=UTC), lot="b")
    perth = replace(EMPTY, method="fifo", currency="AUD", tax_zone="Australia/Perth", matches=[late])

    assert (len(tax_year(perth, 2026).matches), len(tax_year(perth, 2027).matches)) == (1, 0), "the 30th of June, 23:00 in Perth"
    assert tax_year(perth, 2026).discount == 5 * UNIT
    assert "Days are those of Australia/Perth" in " ".join(document(perth, 2026)["tax"]["assumptions"])


@pytest.mark.parametrize(
    ("record", "year", "words"),
    [
        (EMPTY, 99999, "choose a year from"),
        (replace(EMPTY, fee_policy="expense"), 2026, "capitalise"),
        (replace(EMPTY, currency="EUR", tax_zone="Australia/Sydney", method="fifo"), 2026, "AUD"),
    ],
)
def test_what_cannot_be_computed_is_refused_in_one_line(record: Record, year: int, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        document(record, year)
