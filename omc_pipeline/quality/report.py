"""What a run of the suites answers: outcomes of checks, scores of ledgers, open alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from omc_pipeline.ledgers.table import LedgerName
from omc_pipeline.quality.check import Dimension, Severity
from omc_pipeline.quality.score import SCORE_NAMES, LedgerScore, platform_score

_FINDINGS: Mapping[str, Severity] = {"issues": "critical", "warnings": "warning", "info": "info"}
"""Lists of failed checks by the severity that they hold."""


@dataclass(frozen=True)
class CheckOutcome:
    """One check of one source, judged.

    Attributes:
        score: In [0, 1].
        judged: False when there was nothing the check had to judge: it passes, and counts for nothing.
        value: The fact as a number; None when there was none.
        observed, expected: Fact and bounds as a person reads them.
        rows: Rows the check looked at.
        window_from, window_to: The span of the source's time that was judged.
        examples: Natural keys of a few rows that fail.
        advice: What a person does when it fails.
    """

    name: str
    ledger: LedgerName
    source: str
    dimension: Dimension
    severity: Severity
    blocking: bool
    passed: bool
    score: float
    judged: bool
    value: float | None
    observed: str | None
    expected: str
    rows: int
    window_from: datetime
    window_to: datetime
    description: str = ""
    examples: tuple[str, ...] = ()
    advice: str = ""

    def as_document(self) -> dict[str, Any]:
        """Return the shape ``omc quality --json`` prints of a check."""
        fields = ("name", "dimension", "source", "passed", "severity", "score", "observed", "expected", "rows", "window_from", "window_to")
        words = {"description": self.description, "examples": list(self.examples), "advice": self.advice}
        return {**{name: getattr(self, name) for name in fields}, **words}

    def as_finding(self) -> dict[str, Any]:
        """Return what a person needs to know of a failed check: what, where, how bad, which rows and what to do."""
        fields = ("source", "dimension", "score", "observed", "expected", "window_from", "window_to", "description", "advice")
        return {"check": self.name, **{name: getattr(self, name) for name in fields}, "failing_rows": list(self.examples)}


@dataclass(frozen=True)
class Alert:
    """A ledger's dimension, or its ``overall`` score, that is too low; open until ``closed_at``.

    ``causes`` are the numbers of the open alerts in ``omc.alert`` that say why the ledger scores low, and what to do.
    """

    alert_id: int
    ledger: str
    dimension: str
    score: float
    threshold: float
    opened_at: datetime
    closed_at: datetime | None = None
    causes: tuple[int, ...] = ()

    def as_document(self) -> dict[str, Any]:
        """Return the shape ``omc quality --json`` prints of an alert."""
        fields = {name: getattr(self, name) for name in ("alert_id", "ledger", "dimension", "score", "threshold", "opened_at")}
        return {**fields, "causes": list(self.causes)}


@dataclass(frozen=True)
class LedgerQuality:
    """One ledger's scores and the outcomes they come from; ``scores`` is None where none of its sources is configured.

    ``threshold`` is the score below which the ledger alerts.
    """

    scores: LedgerScore | None
    checks: Sequence[CheckOutcome]
    threshold: float

    @property
    def configured(self) -> bool:
        """Whether there was a source to judge."""
        return self.scores is not None

    def as_document(self) -> dict[str, Any]:
        """Return the scores by their names, None each where there are none, the threshold, and whether a source was configured."""
        scores = self.scores.as_document() if self.scores else dict.fromkeys(SCORE_NAMES)
        return {**scores, "threshold": self.threshold, "configured": self.configured}

    def findings(self) -> dict[str, list[dict[str, Any]]]:
        """Return the failed checks by severity, the lowest score first; each list is empty where none failed."""
        failed = sorted((check for check in self.checks if not check.passed), key=lambda check: (check.score, check.source, check.name))
        return {name: [check.as_finding() for check in failed if check.severity == severity] for name, severity in _FINDINGS.items()}


@dataclass(frozen=True)
class QualityReport:
    """One run: what each ledger scores, and the alerts that are open after it, those of the judged ledgers only."""

    run_id: UUID
    ledgers: Mapping[LedgerName, LedgerQuality]
    alerts: Sequence[Alert]

    @property
    def platform_score(self) -> float:
        """The overall score of the worst ledger of those that have one."""
        return platform_score(ledger.scores for ledger in self.ledgers.values() if ledger.scores)

    def as_document(self) -> dict[str, Any]:
        """Return the shape ``omc quality --json`` prints."""
        return {
            "ledgers": {
                name: {**ledger.as_document(), **ledger.findings(), "checks": [check.as_document() for check in ledger.checks]}
                for name, ledger in self.ledgers.items()
            },
            "alerts": [alert.as_document() for alert in self.alerts],
        }
