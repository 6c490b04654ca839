"""A source's suite: the generic checks of the source and its tables, and what its ledger asks of those tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.table import LedgerName, LedgerTable
from omc_pipeline.quality import catalyst, exchange, glass, human
from omc_pipeline.quality.check import Check, CheckSpec, JudgedTable, TableRules
from omc_pipeline.quality.generic import lately_s, source_checks, table_checks

RULES: Mapping[str, TableRules] = {**glass.RULES, **human.RULES, **catalyst.RULES, **exchange.RULES}
"""Rules by qualified table name; a table that is not named has the defaults."""


@dataclass(frozen=True)
class Suite:
    """Everything asked of one source, in the order in which it is announced and answered."""

    source: str
    ledger: LedgerName
    tables: tuple[JudgedTable, ...]
    checks: tuple[Check, ...]
    every_s: int

    def window_s(self, check: Check) -> int:
        """Return the seconds of the past that a check judges; of the source as a whole its shortest window."""
        return next((judged.window_s for judged in self.tables if judged.table is check.table), lately_s(self.tables))


def suite_of(source: Source) -> Suite:
    """Derive a source's suite from its declaration alone."""
    tables = tuple(JudgedTable(table, _rules_of(source, table), source.every_s_of(table)) for table in source.tables)
    checks = [*source_checks(source, tables)]
    for judged in tables:
        checks += [*table_checks(judged), *judged.rules.checks]
    return Suite(source.name, source.ledger, tables, tuple(checks), source.every_s)


def _rules_of(source: Source, table: LedgerTable) -> TableRules:
    """Return the rules of a table; of a source that may be silent for months, without those that a silence breaks."""
    rules = RULES.get(table.qualified, TableRules())
    if not source.may_be_silent:
        return rules
    return replace(rules, may_be_empty=True, checks=tuple(check for check in rules.checks if check.name not in catalyst.OF_SILENCE))


def check_specs(source: Source) -> list[CheckSpec]:
    """Announce a source's checks; reads nothing and loads no heavy library."""
    return [check.spec for check in suite_of(source).checks]
