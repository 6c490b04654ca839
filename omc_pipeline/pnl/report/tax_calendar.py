"""Tax years by zone: when they begin, and by whose rules the view of a year is made.

Sources, looked at 2026-11-27: United Kingdom, 6 April (TMA 1970 s 8, "year of assessment"); New Zealand, 1 April (Tax Administration Act
1994 s 38); India, 1 April (Income-tax Act 1961 s 3); Hong Kong, 1 April (Inland Revenue Ordinance s 2); South Africa, 1 March
(Income Tax Act 58 of 1962 s 1); Australia, 1 July (ITAA 1997 s 4-10). Elsewhere a tax year is taken for a calendar year.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.report.periods import Window, midnight

AUSTRALIA = "Australia/"
FIRST_YEAR, LAST_YEAR = 1970, 9000
_BEGINNINGS = {
    **dict.fromkeys(("Europe/London", "Europe/Belfast", "Europe/Guernsey", "Europe/Isle_of_Man", "Europe/Jersey", "GB", "GB-Eire"), (4, 6)),
    **dict.fromkeys(("Pacific/Auckland", "Pacific/Chatham", "NZ", "NZ-CHAT"), (4, 1)),
    **dict.fromkeys(("Asia/Kolkata", "Asia/Calcutta", "Asia/Hong_Kong", "Hongkong"), (4, 1)),
    "Africa/Johannesburg": (3, 1),
}


@dataclass(frozen=True, slots=True)
class TaxCalendar:
    """The tax years of a zone, each named by the calendar year it ends in."""

    zone: str

    @property
    def is_australian(self) -> bool:
        """Whether the Australian rules hold there."""
        return self.zone.startswith(AUSTRALIA)

    @property
    def begins(self) -> tuple[int, int]:
        """Month and day on which each tax year begins."""
        return (7, 1) if self.is_australian else _BEGINNINGS.get(self.zone, (1, 1))

    def first_day(self, year: int) -> date:
        """Return the first day of a tax year.

        Raises:
            BadInputError: The year cannot be.
        """
        if not FIRST_YEAR <= year <= LAST_YEAR:
            raise BadInputError(f"tax year {year}: choose a year from {FIRST_YEAR} to {LAST_YEAR}")
        return date(year - (self.begins != (1, 1)), *self.begins)

    def last_day(self, year: int) -> date:
        """Return the last day of a tax year."""
        return self.first_day(year).replace(year=self.first_day(year).year + 1) - timedelta(days=1)

    def year_of(self, day: date) -> int:
        """Return the tax year that a day lies in."""
        return day.year + (self.begins != (1, 1) and (day.month, day.day) >= self.begins)

    def day_of(self, moment: datetime) -> date:
        """Return the day of the zone on which something happened."""
        return moment.astimezone(ZoneInfo(self.zone)).date()

    def window(self, year: int) -> Window:
        """Return a tax year as instants: from its first midnight, included, to that of the next one, excluded."""
        zone = ZoneInfo(self.zone)
        return Window(midnight(self.first_day(year), zone), midnight(self.last_day(year) + timedelta(days=1), zone))
