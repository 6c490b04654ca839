"""The view of a tax year where no country's rules are computed: gains and losses by the days of the tax zone. Not tax advice."""

from __future__ import annotations

from typing import Any

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.amounts import text_of
from omc_pipeline.pnl.report.record import MatchRow, Record
from omc_pipeline.pnl.report.tax import TaxMatch, TaxYear
from omc_pipeline.pnl.report.tax_calendar import TaxCalendar


def general_year(record: Record, year: int) -> TaxYear:
    """Add up the gains and losses of a tax year of the record's tax zone; no allowance, holding period or earlier loss is applied.

    Raises:
        BadInputError: A year that cannot be, or expensed fees.
    """
    calendar = TaxCalendar(record.tax_zone)
    window = calendar.window(year)
    if record.fee_policy == "expense":
        raise BadInputError("the tax view needs fees in cost and proceeds; compute the positions with fee policy capitalise")
    rows = [_treated(match, calendar) for match in record.matches if match.is_sale and window.has(match.disposed_at)]
    gains, losses = (sum(row.match.gain for row in rows if (row.match.gain < 0) is is_loss) for is_loss in (False, True))
    times = {trade.id: trade.time for trade in record.trades}
    oversold = [row for row in record.exceptions if row.kind == "oversell" and row.fill in times and window.has(times[row.fill])]
    return TaxYear(year, rows, 0, gains, -losses, 0, 0, 0, gains + losses, 0, len(oversold), record.tax_zone)


def general_document(found: TaxYear) -> dict[str, Any]:
    """Write the sums of a year as decimal text, with its bounds and assumptions."""
    calendar = TaxCalendar(found.zone)
    return {
        "year": found.year,
        "zone": found.zone,
        "first_day": calendar.first_day(found.year).isoformat(),
        "last_day": calendar.last_day(found.year).isoformat(),
        "gains": text_of(found.other_gains),
        "losses": text_of(found.losses),
        "net_gain": text_of(found.net_gain),
        "oversells": found.oversells,
        "assumptions": list(assumptions(calendar)),
    }


def assumptions(calendar: TaxCalendar) -> tuple[str, ...]:
    """Return what a reader has to know before relying on the sums."""
    month, day = calendar.begins
    begins = calendar.first_day(2026).replace(month=month, day=day)
    return (
        "Not tax advice: sums of gains and losses, for a person who knows the rules that hold for them.",
        f"Days are those of {calendar.zone}; the tax year begins on {begins.day} {begins:%B} and is named by the year it ends in.",
        "No country's rules are applied: no allowance, no exemption after a holding period, no other rate, no loss of another year.",
        "Fees are part of cost and proceeds. Lots are chosen by the stated method, which the taxpayer's records must support.",
        "Amounts of fills in other money are converted at the rate of their time, as far as the ledger knows it.",
        "Coins that left for outside are taken as still owned: no sale, no gift, no payment.",
        "Only this ledger's sales count: no other assets, no income such as staking rewards.",
    )


def _treated(match: MatchRow, calendar: TaxCalendar) -> TaxMatch:
    acquired_on = None if match.acquired_at is None else calendar.day_of(match.acquired_at)
    return TaxMatch(match, acquired_on, calendar.day_of(match.disposed_at), None, "loss" if match.gain < 0 else "gain")
