"""A user's profit and loss as one document, cut as asked; every cut adds up to the same total."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from omc_pipeline.pnl.policy import Method
from omc_pipeline.pnl.report import tax
from omc_pipeline.pnl.report.document import Question, Report, report_of
from omc_pipeline.positions.record import read_record

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database


def report(database: Database, user_id: str, by: str = "coin", method: Method = "fifo", currency: str | None = None) -> dict[str, Any]:
    """Return a user's latest run as a document: rows by the cut, totals, metrics, exceptions.

    Raises:
        BadInputError: No run in the currency yet, one that the user doesn't report in, or an unknown cut.
    """
    return read_report(database, user_id, Question(by=by), method, currency).document


def read_report(database: Database, user_id: str, question: Question, method: Method = "fifo", currency: str | None = None) -> Report:
    """Read a user's latest run by a method and make a report of it.

    Raises:
        BadInputError: No run in the currency yet, one that the user doesn't report in, a cut by algorithm where no fill bears one,
            or a tax year that cannot be computed.
    """
    year = question.tax_year
    window = question.window if year is None else partial(tax.window_of, year)
    return report_of(read_record(database, user_id, method, currency, window, question.zone), question)
