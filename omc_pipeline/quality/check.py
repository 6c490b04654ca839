"""What a check is: one SQL fact over a bounded window, the bounds it must keep, and how far outside counts as worthless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from omc_pipeline.ledgers.table import LedgerTable

Dimension = Literal["completeness", "timeliness", "accuracy"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)

Severity = Literal["critical", "warning", "info"]
"""Great Expectations' words. ``critical`` caps its dimension, ``warning`` weighs half as much, ``info`` is reported only."""

Unit = Literal["share", "s", "count", "ratio"]


@dataclass(frozen=True)
class CheckSpec:
    """A check as it is announced before anything is measured."""

    name: str
    dimension: Dimension
    severity: Severity
    blocking: bool
    description: str


@dataclass(frozen=True)
class Check:
    """One question asked of a source, answered by one number.

    Attributes:
        name: Letters, digits and ``_``; unique in its source, begins with its table's name where it has one.
        fact: SQL expression of the number; NULL when there is nothing to judge. Of a table's check: an aggregate over ``w``, the
            latest versions in the table's window. Binds: ``:source``, ``:now``.
        low, high: Bounds within which the check passes, both inclusive; None is open.
        best, worst: Facts that score 1 and 0, linear between; without ``worst`` the score is 1 or 0 with the verdict.
        table: Whose rows are judged; None for what is asked of the source as a whole.
        needs_rows: Nothing to judge scores 0; otherwise it leaves the check out of the score.
        blocking: What is downstream must not run when it fails, because a wrong row costs money.
        good: Predicate of one good row, from which failing rows can be looked up; None where the fact is no share of rows.
        failing: Statement over ``w`` whose rows are one text each, which name what fails; for a fact that is no share of rows.
        advice: What a person does when it fails, as Markdown; every check of a suite has one.
    """

    name: str
    dimension: Dimension
    severity: Severity
    description: str
    fact: str
    low: float | None = None
    high: float | None = None
    best: float | None = None
    worst: float | None = None
    unit: Unit = "share"
    table: LedgerTable | None = None
    needs_rows: bool = True
    blocking: bool = False
    good: str | None = None
    failing: str | None = None
    advice: str = ""

    @property
    def spec(self) -> CheckSpec:
        """What is announced of it."""
        return CheckSpec(self.name, self.dimension, self.severity, self.blocking, self.description)

    @property
    def expected(self) -> str:
        """Its bounds as a person reads them."""
        unit = " s" if self.unit == "s" else ""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}{unit}"
        return f">= {self.low:g}{unit}" if self.low is not None else f"<= {self.high:g}{unit}"


@dataclass(frozen=True)
class TableRules:
    """What is known of one ledger table beyond its type; the defaults suit a table sampled at its source's cadence.

    Attributes:
        is_event: Rows come when something happens. Silence is no fault then: what counts is when we last looked.
        may_be_empty: Of an event table: a source that was looked at and told of no event is complete.
        interval_s: Seconds between two of the source's own times; None: its cadence. Never taken shorter than the cadence.
        window_s: Seconds of the past that are judged; None: twelve intervals, at least an hour.
        delay_s: Seconds by which the upstream publishes after its own time.
        breadth: Fewest things (symbols, protocols) a sound table speaks of.
        keeps_things: A thing told of this week must be told of now, and without gaps.
        coverage: Least share of the things of this week that must be there now.
        learns_interval: Gaps are measured by the spacing that the rows have, where histories and the present are spaced differently.
        wanted: Optional fields that ought to be filled nevertheless.
        checks: What is asked of this table only.
    """

    is_event: bool = False
    may_be_empty: bool = False
    interval_s: int | None = None
    window_s: int | None = None
    delay_s: int = 0
    breadth: int = 1
    keeps_things: bool = True
    coverage: float = 1.0
    learns_interval: bool = False
    wanted: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class JudgedTable:
    """A table with its rules, as one source fills it; times in seconds."""

    table: LedgerTable
    rules: TableRules
    every_s: int

    @property
    def interval_s(self) -> int:
        """Seconds expected between two of the source's own times."""
        return max(self.rules.interval_s or 0, self.every_s)

    @property
    def window_s(self) -> int:
        """Seconds of the past that are judged."""
        return self.rules.window_s or max(3600, 12 * self.interval_s)

    @property
    def things(self) -> tuple[str, ...]:
        """Key columns without the clock: what the rows speak of; empty where the clock is no part of the key."""
        return tuple(name for name in self.table.key if name != self.table.clock) if self.table.clock in self.table.key else ()


def row_check(
    table: LedgerTable,
    name: str,
    good: str,
    description: str,
    *,
    severity: Severity = "critical",
    dimension: Dimension = "accuracy",
    at_least: float = 1.0,
    worst: float = 0.5,
    blocking: bool = False,
    needs_rows: bool = True,
    advice: str = "",
) -> Check:
    """Ask which share of a table's rows satisfies a predicate.

    ``good`` is an SQL predicate over one row of ``w``; rows for which it is NULL are not judged. Below the share ``at_least`` the
    check fails, at the share ``worst`` it scores 0. The rest is as in ``Check``.
    """
    return Check(
        name=f"{table.name}_{name}", dimension=dimension, severity=severity, description=description, table=table,
        fact=f"avg(({good})::int)", good=good, low=at_least, best=1.0, worst=worst, blocking=blocking, needs_rows=needs_rows,
        advice=advice,
    )  # fmt: skip
