"""What one check asks: its words, its SQL, its newest result, and the rows that fail now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Connection, text

from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database
from omc_infra.terminal import one_line
from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.table import LedgerName
from omc_pipeline.quality.check import Check
from omc_pipeline.quality.facts import facts_statement, failing_rows, failing_statement
from omc_pipeline.quality.score import WEIGHT
from omc_pipeline.quality.suite import Suite, suite_of

_NEWEST = text("""SELECT recorded_at, passed, score, observed, expected, rows, window_from, window_to FROM quality.check_result
    WHERE ledger = :ledger AND source = :source AND name = :name ORDER BY recorded_at DESC LIMIT 1""")
_NEAR = 5


@dataclass(frozen=True)
class Explanation:
    """One check of one source.

    Attributes:
        suite: To which it belongs.
        check: What is explained.
        newest: Its newest stored result by column, times in UTC; None where none is kept.
        failing: Natural keys of a few rows that fail now.
    """

    suite: Suite
    check: Check
    newest: Mapping[str, Any] | None
    failing: Sequence[str]

    def as_document(self) -> dict[str, Any]:
        """Return one entry of what ``omc quality --explain CHECK --json`` prints."""
        fields = {name: getattr(self.check, name) for name in ("name", "description", "advice", "dimension", "severity", "blocking")}
        return {
            "source": self.suite.source,
            "ledger": self.suite.ledger,
            **fields,
            "weight": WEIGHT[self.check.severity],
            "expected": self.check.expected,
            "window_s": self.suite.window_s(self.check),
            "fact_sql": fact_statement(self.suite, self.check),
            "failing_sql": failing_statement(self.suite, self.check),
            "newest": dict(self.newest) if self.newest else None,
            "failing_rows": list(self.failing),
        }

    def lines(self) -> list[str]:
        """Return what ``omc quality --explain CHECK`` prints."""
        shown = self.as_document()
        failing_sql = shown["failing_sql"] or "none: this check is not about single rows"
        return [
            f"{self.check.name} of {self.suite.source}",
            self.check.description,
            f"expected: {self.check.expected}, in the last {shown['window_s']} s",
            f"counts: {self.check.severity}, weight {shown['weight']:g} in {self.check.dimension}"
            + ("; blocks what is downstream" if self.check.blocking else ""),
            f"what to do: {self.check.advice}",
            f"newest result: {self._newest_line()}",
            *(f"fails now: {one_line(row)}" for row in self.failing),
            "SQL of the fact:",
            shown["fact_sql"],
            "SQL of failing rows:",
            failing_sql.strip(),
            "",
        ]

    def _newest_line(self) -> str:
        if self.newest is None:
            return "none is kept"
        observed = "nothing to judge" if self.newest["observed"] is None else one_line(self.newest["observed"])
        verdict = "passed" if self.newest["passed"] else "failed"
        return f"{verdict} at {self.newest['recorded_at']:%F %T}Z, score {self.newest['score']:.3f}, observed {observed}"


def asked_checks(sources: Iterable[Source], name: str, ledger: LedgerName | None, source: str | None) -> list[tuple[Suite, Check]]:
    """Return the checks of a name, one a source that has it.

    Args:
        sources: All that load.
        name: Of the check.
        ledger: Whose sources only; None: of all.
        source: This source only; None: all.

    Raises:
        BadInputError: There is no such source or check; the message lists near names.
    """
    suites = [suite_of(each) for each in sources if ledger in (None, each.ledger)]
    if source is not None and source not in {suite.source for suite in suites}:
        raise BadInputError(f"no source '{source}'{_near(source, [suite.source for suite in suites])}; omc sources list shows them")
    suites = [suite for suite in suites if source in (None, suite.source)]
    found = [(suite, check) for suite in suites for check in suite.checks if check.name == name]
    if not found:
        names = {check.name for suite in suites for check in suite.checks}
        raise BadInputError(f"no check '{name}'{_near(name, sorted(names))}; omc quality LEDGER lists the checks")
    return found


def explained(database: Database, found: Iterable[tuple[Suite, Check]], now: datetime) -> list[Explanation]:
    """Explain checks, with the rows that fail at ``now``, aware."""
    with database.engine("reader").connect() as connection:
        return [
            Explanation(suite, check, _newest(connection, suite, check), failing_rows(connection, suite, check, now))
            for suite, check in found
        ]


def fact_statement(suite: Suite, check: Check) -> str:
    """Write the statement that measures this check alone; binds ``:source``, ``:now`` and, of users' rows, ``:account``."""
    return facts_statement(replace(suite, checks=(check,)))


def _newest(connection: Connection, suite: Suite, check: Check) -> dict[str, Any] | None:
    bound = {"ledger": suite.ledger, "source": suite.source, "name": check.name}
    row = connection.execute(_NEWEST, bound).mappings().one_or_none()
    return dict(row) if row else None


def _near(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(name, names, n=_NEAR, cutoff=0.5)
    return f"; near: {', '.join(near)}" if near else ""
