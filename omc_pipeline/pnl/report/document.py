"""A record and a question into one document: rows by the cut, totals, metrics, exceptions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any

from omc_infra.errors import BadInputError
from omc_pipeline.pnl.answer import exception_row
from omc_pipeline.pnl.report import cuts, figures, tax, tax_general
from omc_pipeline.pnl.report.equity import Equity, equity
from omc_pipeline.pnl.report.periods import PERIOD_KINDS, PeriodKind, Window
from omc_pipeline.pnl.report.record import Record, RunKnew
from omc_pipeline.pnl.report.tax_calendar import TaxCalendar

CUTS = ("coin", "account", "period", "algorithm", "match")


@dataclass(frozen=True, slots=True)
class Question:
    """What a report is asked: the cut, the window, the clocks its days go by, and the tax year, which is a window of its own."""

    by: str = "coin"
    period: PeriodKind = "month"
    window: Window = field(default_factory=Window)
    zone: tzinfo = UTC
    tax_year: int | None = None

    def __post_init__(self) -> None:
        if self.by not in CUTS:
            raise BadInputError(f"can't group by {self.by!r}; use {', '.join(CUTS)}")
        if self.period not in PERIOD_KINDS:
            raise BadInputError(f"there is no period {self.period!r}; use {', '.join(PERIOD_KINDS)}")
        if self.tax_year is not None and self.window != Window():
            raise BadInputError("a tax year has fixed bounds; it can't be combined with from and to")
        if self.tax_year is not None and self.by != "coin":
            raise BadInputError("a tax year has a fixed form; it can't be combined with by")


@dataclass(frozen=True, slots=True)
class Report:
    """A record, what was asked of it, its days, and the answer as a document with amounts as decimal text."""

    record: Record
    question: Question
    window: Window
    equity: Equity
    figures: figures.Figures
    tax: tax.TaxYear | None
    document: dict[str, Any]


def report_of(record: Record, question: Question) -> Report:
    """Make a report of a record; the window of a tax year is that year."""
    year = None if question.tax_year is None else _tax_year(record, question.tax_year)
    window = question.window if year is None else year.window
    followed = equity(record, window, question.zone)
    measured = figures.figures(record, window, followed)
    standings = cuts.standings(record, window)
    document: dict[str, Any] = {
        "user": record.user,
        "profile": record.profile,
        "method": record.method,
        "fee_policy": record.fee_policy,
        "oversell_policy": record.oversell_policy,
        "currency": record.currency,
        "by": question.by if year is None else "tax_year",
        "period": question.period if question.by == "period" else None,
        "zone": str(question.zone),
        "from": None if window.start is None else window.start.isoformat(),
        "to": None if window.end is None else window.end.isoformat(),
        "rows": _rows(record, question, window, standings) if year is None else tax.tax_rows(year, record.currency),
        "totals": cuts.totals(standings, window),
        "metrics": figures.as_document(measured),
        "exceptions": [exception_row(row) for row in record.exceptions],
    }
    if record.knew is not None:
        document["knew"] = _knew(record.knew)
    if year is not None:
        document["tax"] = tax.as_document(year) if year.calendar.is_australian else tax_general.general_document(year)
    return Report(record, question, window, followed, measured, year, document)


def _tax_year(record: Record, year: int) -> tax.TaxYear:
    view = tax.tax_year if TaxCalendar(record.tax_zone).is_australian else tax_general.general_year
    return view(record, year)


def _knew(run: RunKnew) -> dict[str, Any]:
    """Write which run a document comes from, so that the same figures can be asked for again."""
    times = {"known_at": None if run.known_at is None else run.known_at.isoformat(), "priced_at": run.priced_at.isoformat()}
    return {**run._asdict(), **times}


def _rows(record: Record, question: Question, window: Window, standings: list[cuts.Standing]) -> list[dict[str, Any]]:
    if question.by == "coin":
        return cuts.by_coin(record, standings)
    if question.by == "period":
        return cuts.by_period(record, window, question.period, question.zone)
    if question.by == "account":
        return cuts.by_account(record, window)
    if question.by == "match":
        return cuts.by_match(record, window)
    if record.matches and not any(match.bought_by or match.sold_by for match in record.matches):
        raise BadInputError("no fill has an algorithm; use --by coin, account, period or match")
    return cuts.by_algorithm(record, window)
