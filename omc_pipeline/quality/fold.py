"""Fold a source's expectations into few checks: one a table and dimension, and one for the source as a whole.

A hundred checks a run are a cost in the event log and unreadable in a page; a person wants to see which table is wrong in which
respect first, and the single expectations behind it then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omc_pipeline.quality.check import Check, Dimension
from omc_pipeline.quality.report import CheckOutcome
from omc_pipeline.quality.suite import Suite

SOURCE_CHECK = "source_health"
"""Name of the check that holds what is asked of a source as a whole."""

_MEANING: dict[Dimension, str] = {
    "completeness": "everything that ought to be there is there",
    "timeliness": "rows are as fresh as their cadence promises",
    "accuracy": "values are possible and agree with each other",
}


@dataclass(frozen=True)
class FoldedCheck:
    """Several expectations that are shown as one check.

    Attributes:
        name: ``<table>_<dimension>``, or ``SOURCE_CHECK``.
        description: One sentence for a person.
        dimension: What the expectations have in common; None for those of the source as a whole.
        members: Names of the expectations, in the order of the suite.
        blocking: Whether one of them is blocking, so that a failure of it stops what is downstream.
    """

    name: str
    description: str
    dimension: Dimension | None
    members: tuple[str, ...]
    blocking: bool


@dataclass(frozen=True)
class FoldedOutcome:
    """A folded check, judged.

    Attributes:
        check: What was asked.
        outcomes: Outcomes of its expectations, failing ones first.
    """

    check: FoldedCheck
    outcomes: tuple[CheckOutcome, ...]

    @property
    def failed(self) -> tuple[CheckOutcome, ...]:
        """Failing expectations; those of severity ``info`` are reported and fail nothing."""
        return tuple(outcome for outcome in self.outcomes if not outcome.passed and outcome.severity != "info")

    @property
    def passed(self) -> bool:
        """Whether no expectation failed."""
        return not self.failed

    @property
    def is_error(self) -> bool:
        """Whether a blocking expectation failed; any other failure is a warning."""
        return any(outcome.blocking for outcome in self.failed)

    @property
    def score(self) -> float | None:
        """Lowest score of its expectations that had something to judge, in [0, 1]; None where none had."""
        return min((outcome.score for outcome in self.outcomes if outcome.judged), default=None)


def folded_checks(suite: Suite) -> list[FoldedCheck]:
    """Return the folded checks of a suite, in its order; every expectation is in exactly one."""
    groups: dict[tuple[str, Dimension | None], list[Check]] = {}
    for check in suite.checks:
        place = (check.table.name, check.dimension) if check.table else ("", None)
        groups.setdefault(place, []).append(check)
    return [_folded(table, dimension, members) for (table, dimension), members in groups.items()]


def fold(suite: Suite, outcomes: Sequence[CheckOutcome]) -> list[FoldedOutcome]:
    """Return the outcomes of a suite by folded check.

    Args:
        suite: What was asked.
        outcomes: One an expectation, as ``run_source_checks`` returns them.
    """
    by_name = {outcome.name: outcome for outcome in outcomes}
    return [FoldedOutcome(check, tuple(sorted((by_name[name] for name in check.members), key=_order))) for check in folded_checks(suite)]


def _folded(table: str, dimension: Dimension | None, members: Sequence[Check]) -> FoldedCheck:
    names, blocking = tuple(check.name for check in members), any(check.blocking for check in members)
    if dimension is None:
        return FoldedCheck(SOURCE_CHECK, "The upstream answers on time at each endpoint, and few rows are refused.", None, names, blocking)
    description = f"{dimension.capitalize()} of {table.replace('_', ' ')}: {_MEANING[dimension]}."
    return FoldedCheck(f"{table}_{dimension}", description, dimension, names, blocking)


def _order(outcome: CheckOutcome) -> tuple[bool, bool, float]:
    return outcome.passed, not outcome.blocking, outcome.score
