"""Run the suites: measure, judge, score, keep."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import Connection

from omc_infra.alerts.store import open_alerts, settle_findings
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.discovery import BrokenSource
from omc_pipeline.collection.readiness import configured_sources
from omc_pipeline.collection.source import Source
from omc_pipeline.collection.state import States, states
from omc_pipeline.ledgers.table import LEDGERS, LedgerName
from omc_pipeline.quality.causes import findings_of, raised_by
from omc_pipeline.quality.check import Check
from omc_pipeline.quality.facts import Facts, failing_rows, read_facts
from omc_pipeline.quality.judge import judge
from omc_pipeline.quality.options import QualitySection, quality_section
from omc_pipeline.quality.report import CheckOutcome, LedgerQuality, QualityReport
from omc_pipeline.quality.score import LedgerScore, Scored, check_score, duration_text, ledger_score
from omc_pipeline.quality.store import close_alerts, store_outcomes, store_scores, update_alerts
from omc_pipeline.quality.suite import Suite, suite_of


def run_source_checks(
    database: Database, source: Source, now: datetime, run_id: UUID | None = None, *, account_id: str | None = None
) -> list[CheckOutcome]:
    """Judge one source and keep the outcomes; the ledger's score and alerts stay as they are.

    Args:
        database: Where the ledgers are.
        source: Whose suite to run.
        now: The moment to judge at, aware; not earlier than the collection that is judged.
        run_id: Under which the outcomes are kept; None: a new one.
        account_id: Of the rows of users, judge this account's only.

    Returns:
        One outcome a check, with the names and in the order of ``check_specs``.
    """
    outcomes = _judged(database, suite_of(source), now, account_id)
    with database.engine("writer").begin() as connection:
        store_outcomes(connection, run_id or uuid4(), outcomes)
    return outcomes


def run_suites(
    database: Database,
    sources: Collection[Source],
    settings: Settings,
    now: datetime,
    ledgers: Sequence[LedgerName] | None = None,
    broken: Collection[BrokenSource] = (),
) -> QualityReport:
    """Judge whole ledgers, keep outcomes, scores and alerts in one transaction.

    Args:
        database: Where the ledgers are.
        sources: All sources of these ledgers; those of other ledgers, and those that are not configured, are passed over.
        settings: Of these, ``alert_threshold``, the keys, and the file whose section ``[quality]`` is read.
        now: The moment to judge at, aware.
        ledgers: Which to judge, where one without a source scores 0; None: those that have sources. One whose sources are all
            not configured has no score, and its alerts are closed.
        broken: Sources whose file doesn't load: nothing of them can be judged, so each fails its ledger's completeness.
    """
    options = quality_section(settings)
    run_id, of_broken = uuid4(), {each.ledger for each in broken}
    named = {*(source.ledger for source in sources), *of_broken}
    sources = configured_sources(sources, settings, recorded_states(database))
    asked = [ledger for ledger in LEDGERS if ledger in (ledgers if ledgers is not None else named)]
    silent = [ledger for ledger in asked if ledger in named and ledger not in {*(source.ledger for source in sources), *of_broken}]
    asked = [ledger for ledger in asked if ledger not in silent]
    outcomes = {
        ledger: {
            **{s.name: _judged(database, suite_of(s), now) for s in sources if s.ledger == ledger},
            **{b.name: [_unloaded(ledger, b, now)] for b in broken if b.ledger == ledger},
        }
        for ledger in asked
    }
    weights = options.weights.by_dimension()
    scores = {
        ledger: ledger_score({name: [_scored(each) for each in of_source] for name, of_source in by_source.items()}, weights)
        for ledger, by_source in outcomes.items()
    }
    thresholds = {ledger: options.threshold_of(ledger, settings.alert_threshold) for ledger in (*asked, *silent)}
    flat = {ledger: [outcome for of_source in by_source.values() for outcome in of_source] for ledger, by_source in outcomes.items()}
    with database.engine("writer").begin() as connection:
        store_outcomes(connection, run_id, [outcome for of_ledger in flat.values() for outcome in of_ledger])
        store_scores(connection, run_id, scores)
        alerts = update_alerts(connection, scores, thresholds, now)
        close_alerts(connection, silent, now)
        causes = _settle_causes(connection, scores, outcomes, silent, sources, thresholds, options, now)
    judged = {name: LedgerQuality(scores.get(name), flat.get(name, []), thresholds[name]) for name in LEDGERS if name in thresholds}
    found = [replace(alert, causes=tuple(causes.get(alert.ledger, ()))) for alert in alerts]
    return QualityReport(run_id, judged, found)


def _settle_causes(
    connection: Connection,
    scores: Mapping[LedgerName, LedgerScore],
    outcomes: Mapping[LedgerName, Mapping[str, Sequence[CheckOutcome]]],
    silent: Sequence[LedgerName],
    sources: Collection[Source],
    thresholds: Mapping[LedgerName, float],
    options: QualitySection,
    now: datetime,
) -> dict[str, list[int]]:
    """Open, keep and resolve the alerts of all causes; return the numbers of those that are open, by ledger."""
    by_name, causes = {source.name: source for source in sources}, {}
    for ledger, score in scores.items():
        known = open_alerts(connection, raised_by(ledger))
        found = findings_of(ledger, score, outcomes[ledger], by_name, thresholds[ledger], known, options.severe_below)
        causes[str(ledger)] = settle_findings(connection, raised_by(ledger), found, now)
    for ledger in silent:
        settle_findings(connection, raised_by(ledger), [], now)
    return causes


def recorded_states(database: Database) -> States:
    """Read what is recorded of all collectors."""
    with database.connect("reader") as connection:
        return states(connection)


def _judged(database: Database, suite: Suite, now: datetime, account_id: str | None = None) -> list[CheckOutcome]:
    with database.engine("reader").connect() as connection:
        facts = read_facts(connection, suite, now, account_id)
        asked = [check for check in suite.checks if check.needs_rows or facts.values[check.name] is not None]
        verdicts = judge(asked, facts.values)
        examples = {c.name: failing_rows(connection, suite, c, now, account_id) for c in asked if not verdicts[c.name]}
    return [_outcome(suite, check, facts, verdicts.get(check.name, True), examples.get(check.name, ()), now) for check in suite.checks]


def _outcome(suite: Suite, check: Check, facts: Facts, passed: bool, examples: tuple[str, ...], now: datetime) -> CheckOutcome:
    value = facts.values[check.name]
    score = check_score(check, value, passed=passed)
    return CheckOutcome(
        name=check.name,
        ledger=suite.ledger,
        source=suite.source,
        dimension=check.dimension,
        severity=check.severity,
        blocking=check.blocking,
        passed=passed,
        score=1.0 if score is None else score,
        judged=score is not None,
        value=value,
        observed=_observed(check, value),
        expected=check.expected,
        advice=check.advice,
        rows=facts.rows_of(check),
        window_from=now - timedelta(seconds=suite.window_s(check)),
        window_to=now,
        description=check.description,
        examples=examples,
    )


def _unloaded(ledger: LedgerName, broken: BrokenSource, now: datetime) -> CheckOutcome:
    return CheckOutcome(
        name="source_loads",
        ledger=ledger,
        source=broken.name,
        dimension="completeness",
        severity="critical",
        blocking=False,
        passed=False,
        score=0.0,
        judged=True,
        value=0.0,
        observed=broken.reason,
        expected="a file that loads",
        rows=0,
        window_from=now,
        window_to=now,
        description="The file of the source can be loaded.",
    )


def _scored(outcome: CheckOutcome) -> Scored:
    return Scored(outcome.dimension, outcome.severity, outcome.score if outcome.judged else None)


def _observed(check: Check, value: float | None) -> str | None:
    if value is None:
        return None
    return f"{value:.0f} s ({duration_text(value)})" if check.unit == "s" else f"{value:.6g}"
