"""The Australian tax-year view of an individual's gains, with the 12-month discount of each match. Not tax advice.

Sources, looked at 2026-11-23: ITAA 1997 s 115-25 and TD 2002/10 (a clear 12 months between the day of acquisition and the day of
the sale, both left out), s 102-5 (losses before the discount, against gains in the order the taxpayer chooses), TD 33 (lots
may be chosen, an average of lots bought on several days may not). Law passed in June 2026 replaces the discount by indexation for
what accrues from 1 July 2027 on, so years after 2027 are refused rather than computed by rules that no longer hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Literal, NamedTuple

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import text_of
from omc_pipeline.pnl.report.cuts import match_cells
from omc_pipeline.pnl.report.periods import Window
from omc_pipeline.pnl.report.record import MatchRow, Record
from omc_pipeline.pnl.report.tax_calendar import TaxCalendar

ZONE_NAME = "Australia/Sydney"
FIRST_YEAR, LAST_YEAR = 2000, 2027
"""Tax years, named by the calendar year they end in, in which the discount is 50 % for all that was held for 12 months."""

Treatment = Literal["discount", "other", "loss", "gain"]
ASSUMPTIONS = (
    "Not tax advice: a computation under the assumptions below, for a person who knows them to hold.",
    "The taxpayer is an individual, resident in Australia throughout, and holds coins as an investment: no business, no personal use.",
    "Days are those of {zone}; the tax year runs from 1 July to 30 June and is named by the year it ends in.",
    "A gain is discountable where 12 full months lie between the day of acquisition and that of the sale, both left out (TD 2002/10).",
    "Where the day of acquisition isn't known, a gain is not discountable.",
    "Losses, this year's and those left from earlier years of this ledger, reduce gains that are not discountable first.",
    "What then remains of discountable gains is discounted by 50 %.",
    "Fees are part of cost and proceeds. Lots are chosen by the stated method, which the taxpayer's records must support.",
    "Coins that left for outside are taken as still owned: no sale, no gift, no payment.",
    "Only this ledger's sales count: no other assets, no losses from before it, no income such as staking rewards.",
)


class TaxMatch(NamedTuple):
    """A match as this view treats it; ``discount_from`` is the first day of sale with a discount, None without a day of acquisition."""

    match: MatchRow
    acquired_on: date | None
    disposed_on: date
    discount_from: date | None
    treatment: Treatment


@dataclass(frozen=True, slots=True)
class TaxYear:
    """One tax year; money in units, losses as positive numbers.

    ``discount_gains`` and ``other_gains`` are before losses; ``losses_carried_in`` are net losses of earlier years of this
    record. ``net_gain`` is what a person would report, ``losses_carried_out`` what is left for later years.
    """

    year: int
    matches: Sequence[TaxMatch]
    discount_gains: int
    other_gains: int
    losses: int
    losses_carried_in: int
    losses_applied: int
    discount: int
    net_gain: int
    losses_carried_out: int
    oversells: int
    zone: str = ZONE_NAME

    @property
    def calendar(self) -> TaxCalendar:
        """The tax years that it is one of."""
        return TaxCalendar(self.zone)

    @property
    def window(self) -> Window:
        """The year as instants."""
        return window_of(self.year, self.zone)


def tax_year(record: Record, year: int) -> TaxYear:
    """Compute the view of one tax year, and of those before it as far as their losses reach into it.

    Raises:
        BadInputError: A year the rules here don't hold for, another currency than AUD, a pooled method, or expensed fees.
    """
    _refuse_unfit(record, year)
    treated: dict[int, list[TaxMatch]] = {}
    for match in record.matches:
        if not match.is_sale:
            continue
        row = treat(match, record.tax_zone)
        treated.setdefault(tax_year_of(row.disposed_on), []).append(row)
    carried = 0
    for past in sorted(treated):
        if past < year:
            carried = _year(past, treated[past], carried, 0).losses_carried_out
    times = {trade.id: trade.time for trade in record.trades}
    window = window_of(year, record.tax_zone)
    oversold = [row for row in record.exceptions if row.kind == "oversell" and row.fill in times and window.has(times[row.fill])]
    return replace(_year(year, treated.get(year, []), carried, len(oversold)), zone=record.tax_zone)


def window_of(year: int, zone: str = ZONE_NAME) -> Window:
    """Return a tax year of a zone as instants: from its first day, included, to that of the next year, excluded."""
    return TaxCalendar(zone).window(year)


def tax_year_of(day: date) -> int:
    """Return the Australian tax year that a day lies in."""
    return TaxCalendar(ZONE_NAME).year_of(day)


def discount_from(acquired_on: date) -> date:
    """Return the first day of sale that leaves 12 full months between it and the day of acquisition."""
    first = acquired_on + timedelta(days=1)
    try:
        return first.replace(year=first.year + 1)
    except ValueError:  # the 29th of February, whose 12 months end with the next February
        return date(first.year + 1, 3, 1)


def treat(match: MatchRow, zone: str = ZONE_NAME) -> TaxMatch:
    """Tell a loss, a discountable gain and any other gain apart; a match of no gain is no loss and counts nothing."""
    days = TaxCalendar(zone)
    disposed_on = days.day_of(match.disposed_at)
    acquired_on = None if match.acquired_at is None else days.day_of(match.acquired_at)
    start = None if acquired_on is None else discount_from(acquired_on)
    held = start is not None and disposed_on >= start
    treatment: Treatment = "loss" if match.gain < 0 else "discount" if held else "other"
    return TaxMatch(match, acquired_on, disposed_on, start, treatment)


def tax_rows(found: TaxYear, currency: str) -> list[dict[str, Any]]:
    """Return one row a match, in order of disposal."""
    return [
        {
            **match_cells(row.match, currency),
            "acquired_on": None if row.acquired_on is None else row.acquired_on.isoformat(),
            "disposed_on": row.disposed_on.isoformat(),
            "discount_from": None if row.discount_from is None else row.discount_from.isoformat(),
            "treatment": row.treatment,
            "discount_before_losses": text_of(row.match.gain // 2 if row.treatment == "discount" else 0),
        }
        for row in found.matches
    ]


def as_document(found: TaxYear) -> dict[str, Any]:
    """Write the sums of a year as decimal text, with its bounds and assumptions."""
    names = ("discount_gains", "other_gains", "losses", "losses_carried_in", "losses_applied", "discount", "net_gain", "losses_carried_out")
    return {
        "year": found.year,
        "first_day": date(found.year - 1, 7, 1).isoformat(),
        "last_day": date(found.year, 6, 30).isoformat(),
        **{name: text_of(getattr(found, name)) for name in names},
        "oversells": found.oversells,
        "assumptions": [line.format(zone=found.zone) for line in ASSUMPTIONS],
    }


def _year(year: int, rows: Sequence[TaxMatch], carried_in: int, oversells: int) -> TaxYear:
    discountable, other, losses = (_gains(rows, treatment) for treatment in ("discount", "other", "loss"))
    available = carried_in - losses
    on_other = min(available, other)
    on_discountable = min(available - on_other, discountable)
    left = discountable - on_discountable
    discount = left // 2
    return TaxYear(
        year=year,
        matches=rows,
        discount_gains=discountable,
        other_gains=other,
        losses=-losses,
        losses_carried_in=carried_in,
        losses_applied=on_other + on_discountable,
        discount=discount,
        net_gain=other - on_other + left - discount,
        losses_carried_out=available - on_other - on_discountable,
        oversells=oversells,
    )


def _gains(rows: Iterable[TaxMatch], treatment: Treatment | str) -> int:
    return sum(row.match.gain for row in rows if row.treatment == treatment)


def _refuse_unfit(record: Record, year: int) -> None:
    if year > LAST_YEAR:
        raise BadInputError(f"tax year {year}: indexation replaces the 50 % discount from 1 July {LAST_YEAR} on; it is not computed here")
    if year < FIRST_YEAR:
        raise BadInputError(f"tax year {year}: the 50 % discount is computed for the years {FIRST_YEAR} to {LAST_YEAR}")
    if record.currency not in ("AUD", ""):
        raise BadInputError(f"the Australian tax view needs positions in AUD; these are in {record.currency}")
    if record.method in ("avg", "uk"):
        raise BadInputError(f"method {record.method}: a pool has no day of acquisition; use fifo, lifo, hifo or lofo for the tax view")
    if record.fee_policy == "expense":
        raise BadInputError("the tax view needs fees in cost and proceeds; compute the positions with fee policy capitalise")
