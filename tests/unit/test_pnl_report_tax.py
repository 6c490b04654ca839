"""The Australian tax-year view: days of Sydney, 12 clear months, losses before the discount, years it doesn't hold for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import UNIT
from omc_pipeline.pnl.report.record import MatchRow, Record
from omc_pipeline.pnl.report.tax import TaxYear, discount_from, tax_year, treat, window_of

EMPTY = Record("ada", "sandbox", "fifo", "capitalise", "exclude", "AUD", (), (), ())


def match(gain: int, acquired: str | None = "2020-01-01T00:00Z", disposed: str = "2026-01-10T00:00Z", **changes: object) -> MatchRow:
    acquired_at = None if acquired is None else datetime.fromisoformat(acquired).astimezone(UTC)
    row = MatchRow("BTC", "s", "b", UNIT, 1000, 1000 + gain, acquired_at, datetime.fromisoformat(disposed).astimezone(UTC))
    return row._replace(**changes)  # type: ignore[arg-type]


def year_of(*matches: MatchRow, year: int = 2026) -> TaxYear:
    return tax_year(replace(EMPTY, matches=matches), year)


@pytest.mark.parametrize(
    ("acquired", "first"),
    [
        ("2000-02-02", "2001-02-03"),
        ("2023-02-28", "2024-03-01"),  # the first full day is the 1st of March, and February of 2024 has a 29th
        ("2024-02-28", "2025-03-01"),
        ("2024-02-29", "2025-03-01"),
        ("2025-06-30", "2026-07-01"),
        ("2025-12-31", "2027-01-01"),
    ],
)
def test_the_discount_begins_after_12_full_months_between_both_days(acquired: str, first: str) -> None:
    assert discount_from(date.fromisoformat(acquired)) == date.fromisoformat(first)


@given(st.dates(date(2000, 1, 1), date(2030, 1, 1)))
def test_at_least_365_days_lie_between_both_days(acquired: date) -> None:
    assert 365 <= (discount_from(acquired) - acquired).days - 1 <= 366


def test_days_are_those_of_sydney() -> None:
    late = match(10, "2024-03-01T13:30:00+00:00", "2025-03-02T13:00:00+00:00")

    found = treat(late)

    assert (found.acquired_on, found.disposed_on) == (date(2024, 3, 2), date(2025, 3, 3))
    assert found.treatment == "discount"


def test_the_year_runs_from_the_first_of_july_in_sydney_and_is_half_open() -> None:
    last, first = match(5, disposed="2025-06-30T13:59:59.999999Z"), match(7, disposed="2025-06-30T14:00:00Z")

    assert window_of(2026).start == datetime(2025, 6, 30, 14, tzinfo=UTC)
    assert [row.match.gain for row in year_of(last, first, year=2025).matches] == [5]
    assert [row.match.gain for row in year_of(last, first, year=2026).matches] == [7]


def test_losses_reduce_gains_without_a_discount_first() -> None:
    young = "2025-12-01T00:00Z"

    found = year_of(match(100), match(30, young), match(-50, young))

    assert (found.discount_gains, found.other_gains, found.losses) == (100, 30, 50)
    assert (found.losses_applied, found.discount, found.net_gain, found.losses_carried_out) == (50, 40, 40, 0)


def test_a_loss_is_never_discounted_however_long_it_was_held() -> None:
    found = year_of(match(-50), match(40))

    assert (found.net_gain, found.losses_carried_out) == (0, 10)


def test_net_losses_of_earlier_years_are_carried_into_the_year_and_beyond() -> None:
    before, between = match(-100, disposed="2023-08-01T00:00Z"), match(30, "2024-08-01T00:00Z", "2024-09-01T00:00Z")

    assert year_of(before, between, year=2025).losses_carried_out == 70
    found = year_of(before, between, match(100))
    assert (found.losses_carried_in, found.discount, found.net_gain) == (70, 15, 15)


def test_a_gain_without_a_day_of_acquisition_has_no_discount() -> None:
    found = year_of(match(10, acquired=None, lot=None))

    assert [(row.treatment, row.discount_from) for row in found.matches] == [("other", None)]


def test_what_left_at_cost_is_no_sale() -> None:
    assert year_of(match(0, rule="withdrawal")).matches == []


@given(st.lists(st.tuples(st.integers(-(10**30), 10**30), st.sampled_from(["2020-01-01T00:00Z", "2025-12-01T00:00Z", None])), max_size=12))
def test_gains_losses_discount_and_what_is_carried_add_up(rows: list[tuple[int, str | None]]) -> None:
    found = year_of(*(match(gain, acquired) for gain, acquired in rows))

    assert found.net_gain + found.discount - found.losses_carried_out == sum(gain for gain, _ in rows)
    assert min(found.net_gain, found.discount, found.losses_carried_out) >= 0
    assert not (found.net_gain and found.losses_carried_out)


@pytest.mark.parametrize(
    ("changes", "year", "words"),
    [
        ({}, 2028, "indexation"),
        ({}, 1999, "2000 to 2027"),
        ({"currency": "USD"}, 2026, "AUD"),
        ({"method": "avg"}, 2026, "no day of acquisition"),
        ({"method": "uk"}, 2026, "no day of acquisition"),
        ({"fee_policy": "expense"}, 2026, "capitalise"),
    ],
)
def test_what_the_view_does_not_hold_for_is_refused(changes: dict[str, str], year: int, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        tax_year(replace(EMPTY, **changes), year)  # type: ignore[arg-type]
