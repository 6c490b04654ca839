"""From failed checks to causes: one dead upstream or one bad symbol is one alert, whatever number of checks and dimensions it fails.

Pure. A check counts where it keeps its source's score of a dimension below the threshold. Of a source that is not collected or tells
nothing new, all failing checks have that one cause. Otherwise checks that name their rows have the thing of the rows for a cause, up
to ``MOST_THINGS`` of one check, and all others their table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from omc_infra.alerts.alert import HIGH_BELOW, Alert, Cause, Finding, severity_of
from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.table import LedgerName, LedgerTable
from omc_pipeline.quality.check import DIMENSIONS, Dimension
from omc_pipeline.quality.facts import EXAMPLES
from omc_pipeline.quality.report import CheckOutcome
from omc_pipeline.quality.score import LedgerScore, Scored, dimension_score, is_alerting

MOST_THINGS = EXAMPLES - 1
"""A check that names as many rows as are ever named may concern any number of things, so its table is the cause."""
PLAYBOOK = "docs/how-to/when-a-source-breaks.md"
# Of several failing checks the first of these says most about what to do.
_SILENCE = ("source_loads", "looked", "endpoints_on_time")
_SILENCE_OF_TABLE = ("_present", "_fresh")
_UNADVISED = "See which checks fail with `omc quality`, and on the page of checks what each means."
_MOST_ROWS = 5


def raised_by(ledger: LedgerName) -> str:
    """Return the name under which a ledger's alerts are raised."""
    return f"ledger {ledger}"


def findings_of(
    ledger: LedgerName,
    score: LedgerScore,
    outcomes: Mapping[str, Sequence[CheckOutcome]],
    sources: Mapping[str, Source],
    threshold: float,
    known: Sequence[Alert],
    severe_below: float = HIGH_BELOW,
) -> list[Finding]:
    """Find the causes of a ledger's low scores.

    Args:
        ledger: Which was judged.
        score: Its scores.
        outcomes: Of each judged source, by name.
        sources: Those that load, by name.
        threshold: Below which a score alerts.
        known: The ledger's open alerts; with hysteresis they stay until their score is well above the threshold.
        severe_below: Score below which a finding has the severity ``high``.

    Returns:
        One finding a cause. A dimension that is low for want of anything to judge has the ledger for a cause.
    """
    findings: list[Finding] = []
    for name, judged in outcomes.items():
        own = [alert for alert in known if alert.source == name]
        failing = [outcome for dimension in DIMENSIONS for outcome in _guilty(judged, dimension, threshold, own)]
        findings += _findings_of_source(name, sources.get(name), failing, own, severe_below)
    explained = {outcome.dimension for judged in outcomes.values() for outcome in judged if outcome.judged}
    return [*findings, *_of_the_ledger(ledger, score, threshold, known, explained, severe_below)]


def _guilty(judged: Sequence[CheckOutcome], dimension: Dimension, threshold: float, own: Sequence[Alert]) -> list[CheckOutcome]:
    """Return the checks that keep a source's dimension low, or none where its score is good enough."""
    of_dimension = [outcome for outcome in judged if outcome.dimension == dimension and outcome.judged and outcome.severity != "info"]
    score = dimension_score(Scored(dimension, outcome.severity, outcome.score) for outcome in of_dimension)
    names = {outcome.name for outcome in of_dimension}
    was_open = any(names & set(alert.checks) for alert in own)
    if score is None or not is_alerting(score, threshold, was_open=was_open):
        return []
    failing = [outcome for outcome in of_dimension if not outcome.passed]
    return failing or [min(of_dimension, key=lambda outcome: outcome.score)]


def _findings_of_source(
    name: str, source: Source | None, failing: Sequence[CheckOutcome], own: Sequence[Alert], severe_below: float
) -> Iterator[Finding]:
    by_cause: dict[Cause, list[CheckOutcome]] = defaultdict(list)
    is_silent = any(outcome.name in _SILENCE or outcome.name.endswith(_SILENCE_OF_TABLE) for outcome in failing)
    for outcome in failing:
        causes = [Cause(name, "source")] if is_silent else _causes_of(name, source, outcome)
        for cause in (*causes, *_still_open(outcome, own, causes, is_silent=is_silent)):
            by_cause[cause].append(outcome)
    for cause, found in by_cause.items():
        yield _finding(cause, source, found, severe_below)


def _causes_of(name: str, source: Source | None, outcome: CheckOutcome) -> list[Cause]:
    table = _table_of(source, outcome)
    if table is None:
        return [Cause(name, "source")]
    column = _thing_column(table)
    things = dict.fromkeys(_thing(table, column, row) for row in outcome.examples) if column else {}
    if column is None or not 0 < len(things) <= MOST_THINGS:
        return [Cause(name, "table", table.name)]
    return [Cause(name, column, thing) for thing in things]


def _still_open(outcome: CheckOutcome, own: Iterable[Alert], causes: Sequence[Cause], *, is_silent: bool) -> list[Cause]:
    """Return the open causes of things that a failing check may still have: not all of its rows are named, and which ones may change."""
    if len(outcome.examples) < EXAMPLES and not is_silent:
        return []
    things = [alert.cause for alert in own if outcome.name in alert.checks and alert.kind not in ("source", "table")]
    return [cause for cause in things if cause not in causes]


def _thing_column(table: LedgerTable) -> str | None:
    """Return the column that says what a row speaks of, such as its symbol; None for rows of users and for single events."""
    if table.per_user or table.clock not in table.key or table.key[0] == table.clock:
        return None
    return "symbol" if "symbol" in table.key else table.key[0]


def _thing(table: LedgerTable, column: str, row: str) -> str:
    """Return the thing of a named row: of a whole key by its place, of a check's own words the first one."""
    words = row.split(" ")
    return words[table.key.index(column)] if len(words) == len(table.key) else words[0]


def _table_of(source: Source | None, outcome: CheckOutcome) -> LedgerTable | None:
    tables = source.tables if source else ()
    named = [table for table in tables if outcome.name.startswith(f"{table.name}_")]
    return max(named, key=lambda table: len(table.name), default=None)


def _finding(cause: Cause, source: Source | None, found: Sequence[CheckOutcome], severe_below: float) -> Finding:
    score = min(outcome.score for outcome in found)
    worst = min(found, key=lambda outcome: (_SILENCE.index(outcome.name) if outcome.name in _SILENCE else len(_SILENCE), outcome.score))
    is_private = source is None or any(table.per_user for table in source.tables)
    named = [row for outcome in found for row in outcome.examples if _is_of(cause, row)]
    observed = "nothing to judge" if worst.observed is None else worst.observed
    how_far, between = ("barely so", "where the bound is") if worst.passed else ("not so", "instead of")
    return Finding(
        cause=cause,
        severity=severity_of(score, severe_below),
        summary=f"{worst.description.rstrip('.')}: {how_far}, {observed} {between} {worst.expected}"
        f" ({worst.name}, {worst.rows} rows judged).",
        advice=worst.advice or _UNADVISED,
        playbook=PLAYBOOK,
        score=score,
        checks=tuple(dict.fromkeys(outcome.name for outcome in found)),
        rows=() if is_private else tuple(dict.fromkeys(named))[:_MOST_ROWS],
    )


def _is_of(cause: Cause, row: str) -> bool:
    return cause.kind in ("source", "table") or cause.subject in row.split(" ")


def _of_the_ledger(
    ledger: LedgerName,
    score: LedgerScore,
    threshold: float,
    known: Sequence[Alert],
    explained: set[Dimension],
    severe_below: float,
) -> Iterator[Finding]:
    for dimension in DIMENSIONS:
        cause, value = Cause(ledger, "ledger", dimension), score.of(dimension)
        was_open = any(alert.cause == cause for alert in known)
        if dimension not in explained and is_alerting(value, threshold, was_open=was_open):
            summary = f"The {dimension} of the ledger scores {value:.2f}, below {threshold:g}: no check of it had anything to judge."
            yield Finding(cause, severity_of(value, severe_below), summary, _UNADVISED, PLAYBOOK, score=value)
