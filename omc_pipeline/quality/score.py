"""Scores in [0, 1], from a check to the platform. Pure.

A critical check caps its dimension, the worst source speaks for a dimension, the worst dimension for a ledger and the worst
ledger for the platform. No data is 0. Means hide: a monitor that weighed freshness at 0.4 and averaged over ledgers gave a
platform whose every feed was a month stale 0.72, and stayed silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from omc_pipeline.quality.check import DIMENSIONS, Check, Dimension, Severity

WEIGHT: Mapping[Severity, float] = {"critical": 2.0, "warning": 1.0, "info": 0.0}
DIMENSION_WEIGHTS: Mapping[Dimension, float] = {"completeness": 0.3, "timeliness": 0.4, "accuracy": 0.3}
"""Weights of the dimensions in a ledger's mean where the configuration has no others."""
FAILED_SCORE = 0.5
"""Most that a failed critical check can score: one wrong row among a thousand must still raise an alert."""
HYSTERESIS = 0.05
"""How far above the threshold a score must come before its alert closes."""
SCORE_NAMES = (*(f"{dimension}_score" for dimension in DIMENSIONS), "overall_score", "mean_score")
"""Of a ledger, in their order."""


@dataclass(frozen=True)
class Scored:
    """What one check adds to its dimension; ``score`` is None when there was nothing it had to judge."""

    dimension: Dimension
    severity: Severity
    score: float | None


@dataclass(frozen=True)
class LedgerScore:
    """A ledger's scores; ``overall_score`` is the least of the three dimensions, ``mean_score`` their weighted mean."""

    completeness_score: float
    timeliness_score: float
    accuracy_score: float
    weights: Mapping[Dimension, float] = field(default_factory=lambda: DIMENSION_WEIGHTS)

    @property
    def overall_score(self) -> float:
        """The least of the three."""
        return min(self.completeness_score, self.timeliness_score, self.accuracy_score)

    @property
    def mean_score(self) -> float:
        """The weighted mean of the three, for reading only."""
        return sum(self.of(name) * self.weights[name] for name in DIMENSIONS)

    def as_document(self) -> dict[str, float]:
        """Return the five scores by their names."""
        dimensions = {f"{name}_score": self.of(name) for name in DIMENSIONS}
        return {**dimensions, "overall_score": self.overall_score, "mean_score": self.mean_score}

    def of(self, dimension: Dimension) -> float:
        """Return the score of one dimension."""
        score: float = getattr(self, f"{dimension}_score")
        return score


def ramp(value: float, best: float, worst: float) -> float:
    """Return 1 at ``best`` and beyond, 0 at ``worst`` and beyond, linear between; the two may stand in either order."""
    return min(1.0, max(0.0, (value - worst) / (best - worst)))


def check_score(check: Check, value: float | None, *, passed: bool) -> float | None:
    """Score one check.

    Returns:
        A score in [0, 1]; None when there was nothing to judge and the check does not need rows.
    """
    if value is None:
        return 0.0 if check.needs_rows else None
    score = float(passed) if check.worst is None or check.best is None else ramp(value, check.best, check.worst)
    return min(score, FAILED_SCORE) if check.severity == "critical" and not passed else score


def dimension_score(checks: Iterable[Scored]) -> float | None:
    """Return the weighted mean of one source's checks in one dimension, capped by the critical ones; None when none was judged."""
    judged = [(check.score, check.severity) for check in checks if check.score is not None and WEIGHT[check.severity]]
    if not judged:
        return None
    mean = sum(score * WEIGHT[severity] for score, severity in judged) / sum(WEIGHT[severity] for _, severity in judged)
    return min([mean, *(score for score, severity in judged if severity == "critical")])


def ledger_score(sources: Mapping[str, Sequence[Scored]], weights: Mapping[Dimension, float] = DIMENSION_WEIGHTS) -> LedgerScore:
    """Score a ledger: in each dimension its worst source; 0 where no source was judged, or there is none.

    Args:
        sources: What the checks of each source add.
        weights: Of the dimensions in the mean; they sum to 1.
    """
    completeness, timeliness, accuracy = (_worst(dimension, sources) for dimension in DIMENSIONS)
    return LedgerScore(completeness, timeliness, accuracy, weights)


def platform_score(ledgers: Iterable[LedgerScore]) -> float:
    """Return the overall score of the worst ledger; 0 without ledgers."""
    return min((ledger.overall_score for ledger in ledgers), default=0.0)


def is_alerting(score: float, threshold: float, *, was_open: bool) -> bool:
    """Tell whether an alert is to be open: it opens below the threshold and closes at ``HYSTERESIS`` above it (1 at most)."""
    return score < (min(1.0, threshold + HYSTERESIS) if was_open else threshold)


def duration_text(seconds: float) -> str:
    """Write a span with its days, which ``timedelta.seconds`` would drop: ``5 d 1 h 0 min``."""
    sign, span = ("-" if seconds < 0 else ""), timedelta(seconds=abs(seconds))
    hours, rest = divmod(span.seconds, 3600)
    if not span.days and not hours:
        return f"{sign}{rest // 60} min {rest % 60} s" if rest >= 60 else f"{sign}{abs(seconds):.3g} s"
    return f"{sign}{span.days} d {hours} h {rest // 60} min" if span.days else f"{sign}{hours} h {rest // 60} min"


def _worst(dimension: Dimension, sources: Mapping[str, Sequence[Scored]]) -> float:
    scores = [dimension_score(check for check in checks if check.dimension == dimension) for checks in sources.values()]
    return min((score for score in scores if score is not None), default=0.0)
