"""Quality in PostgreSQL: outcomes and scores of a run in one transaction, alerts that open and close with hysteresis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from omc_pipeline.ledgers.table import LedgerName
from omc_pipeline.quality.check import DIMENSIONS
from omc_pipeline.quality.report import Alert, CheckOutcome
from omc_pipeline.quality.score import LedgerScore, is_alerting

_FIELDS = (
    "ledger", "source", "name", "dimension", "severity", "passed", "score", "observed", "expected", "rows", "window_from", "window_to",
)  # fmt: skip
_ONE_ALERTER = "SELECT pg_advisory_xact_lock(hashtext('quality.alert'))"


def store_outcomes(connection: Connection, run_id: UUID, outcomes: Sequence[CheckOutcome]) -> None:
    """Write one row of ``quality.check_result`` an outcome, in the caller's transaction."""
    if outcomes:
        stamped = {"run_id": run_id, "recorded_at": _stamp(connection, "quality.check_result")}
        connection.execute(_insertion("quality.check_result", _FIELDS), [{**stamped, **_values(outcome)} for outcome in outcomes])


def store_scores(connection: Connection, run_id: UUID, scores: Mapping[LedgerName, LedgerScore]) -> None:
    """Write one row of ``quality.score`` a ledger, in the caller's transaction."""
    stamped = {"run_id": run_id, "recorded_at": _stamp(connection, "quality.score")}
    for ledger, score in scores.items():
        row = {"ledger": ledger, **score.as_document()}
        connection.execute(_insertion("quality.score", tuple(row)), {**stamped, **row})


def update_alerts(
    connection: Connection, scores: Mapping[LedgerName, LedgerScore], thresholds: Mapping[LedgerName, float], now: datetime
) -> list[Alert]:
    """Open, refresh and close the alerts of the scored ledgers, each by its own threshold, in the caller's transaction.

    Returns:
        The alerts of these ledgers that are open afterwards, by ledger and dimension.
    """
    connection.execute(text(_ONE_ALERTER))
    open_before = {(alert.ledger, alert.dimension): alert for alert in open_alerts(connection, list(scores))}
    for ledger, score in scores.items():
        threshold = thresholds[ledger]
        for dimension, value in (*((name, score.of(name)) for name in DIMENSIONS), ("overall", score.overall_score)):
            alert = open_before.get((ledger, dimension))
            if is_alerting(value, threshold, was_open=alert is not None):
                _keep_open(connection, alert, ledger, dimension, value, threshold, now)
            elif alert is not None:
                connection.execute(
                    text("UPDATE quality.alert SET score = :score, closed_at = :now WHERE alert_id = :alert_id"),
                    {"score": value, "now": now, "alert_id": alert.alert_id},
                )
    return open_alerts(connection, list(scores))


def close_alerts(connection: Connection, ledgers: Sequence[str], now: datetime) -> None:
    """Close the alerts of ledgers that are no longer judged, in the caller's transaction."""
    connection.execute(
        text("UPDATE quality.alert SET closed_at = :now WHERE closed_at IS NULL AND ledger = ANY(:ledgers)"),
        {"now": now, "ledgers": list(ledgers)},
    )


def open_alerts(connection: Connection, ledgers: Sequence[str]) -> list[Alert]:
    """Return the open alerts of some ledgers, by ledger and dimension."""
    rows = connection.execute(
        text("""SELECT alert_id, ledger, dimension, score, threshold, opened_at, closed_at FROM quality.alert
                WHERE closed_at IS NULL AND ledger = ANY(:ledgers) ORDER BY ledger, dimension"""),
        {"ledgers": list(ledgers)},
    )
    return [Alert(**row) for row in rows.mappings()]


def _keep_open(
    connection: Connection, alert: Alert | None, ledger: str, dimension: str, score: float, threshold: float, now: datetime
) -> None:
    if alert is not None:
        connection.execute(
            text("UPDATE quality.alert SET score = :score WHERE alert_id = :alert_id"), {"score": score, "alert_id": alert.alert_id}
        )
        return
    connection.execute(
        text("""INSERT INTO quality.alert (ledger, dimension, score, threshold, opened_at)
                VALUES (:ledger, :dimension, :score, :threshold, :now)"""),
        {"ledger": ledger, "dimension": dimension, "score": score, "threshold": threshold, "now": now},
    )


def _insertion(table: str, fields: Sequence[str]) -> TextClause:
    columns = ("run_id", "recorded_at", *fields)
    return text(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})")


def _stamp(connection: Connection, table: str) -> datetime:
    """Return the ``recorded_at`` of new rows; the order of these tables is that of their names (see ``ledgers.knowledge``)."""
    stamped: datetime = connection.execute(text("SELECT omc.stamp(:table)"), {"table": table}).scalar_one()
    return stamped


def _values(outcome: CheckOutcome) -> dict[str, object]:
    return {name: getattr(outcome, name) for name in _FIELDS}
