"""Alerts in PostgreSQL: opened, kept and resolved by what is found; acknowledged and snoozed by people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from omc_infra.alerts.alert import Alert, Finding
from omc_infra.errors import BadInputError

LARGEST_ID = 2**63 - 1
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('omc.alert'))")
_COLUMNS = ", ".join(field.name for field in fields(Alert))
_UPSERT = text("""
INSERT INTO omc.alert AS known (
    raised_by, source, kind, subject, severity, score, summary, checks, rows, advice, playbook, opened_at, confirmed_at)
VALUES (:raised_by, :source, :kind, :subject, :severity, :score, :summary, :checks, :rows, :advice, :playbook, :now, :now)
ON CONFLICT (source, kind, subject) WHERE resolved_at IS NULL DO UPDATE SET
    raised_by = excluded.raised_by, severity = excluded.severity, score = excluded.score, summary = excluded.summary,
    checks = excluded.checks, rows = excluded.rows, advice = excluded.advice, playbook = excluded.playbook,
    confirmed_at = greatest(known.confirmed_at, excluded.confirmed_at)
RETURNING alert_id
""")
_RESOLVE = text("""
UPDATE omc.alert SET resolved_at = :now WHERE raised_by = :raised_by AND resolved_at IS NULL AND NOT alert_id = ANY(:kept)
""")
_ACKNOWLEDGE = text("""
UPDATE omc.alert SET acknowledged_at = :now, acknowledged_by = :by, snoozed_until = NULL WHERE alert_id = :alert_id AND resolved_at IS NULL
""")
_SNOOZE = text("""
UPDATE omc.alert SET snoozed_until = :until, acknowledged_at = NULL, acknowledged_by = ''
WHERE alert_id = :alert_id AND resolved_at IS NULL
""")


def settle_findings(connection: Connection, raised_by: str, findings: Sequence[Finding], now: datetime) -> list[int]:
    """Bring the alerts of one watch to what it finds now, in the caller's transaction.

    A cause that is found has one open alert afterwards; open alerts of the watch whose cause is not found any more are resolved.

    Args:
        connection: Of the role writer.
        raised_by: Names the watch; the alerts of others are left alone.
        findings: All that is wrong now.
        now: The moment of the finding.

    Returns:
        The number of the alert of each finding, in their order.
    """
    connection.execute(_ONE_AT_A_TIME)
    kept = [connection.execute(_UPSERT, _values(raised_by, finding, now)).scalar_one() for finding in findings]
    connection.execute(_RESOLVE, {"raised_by": raised_by, "kept": kept, "now": now})
    return kept


def open_alerts(connection: Connection, raised_by: str | None = None) -> list[Alert]:
    """Return the alerts that are not resolved, of one watch or of all, oldest first."""
    condition = "resolved_at IS NULL AND (CAST(:raised_by AS text) IS NULL OR raised_by = :raised_by)"
    return _read(connection, f"{condition} ORDER BY alert_id", {"raised_by": raised_by})


def newest_alerts(connection: Connection, most: int) -> list[Alert]:
    """Return the newest alerts, resolved ones included, newest first."""
    return _read(connection, "true ORDER BY alert_id DESC LIMIT :most", {"most": most})


def unannounced_recoveries(connection: Connection) -> list[Alert]:
    """Return the resolved alerts whose opening was announced and whose end was not."""
    condition = "resolved_at IS NOT NULL AND announced_at IS NOT NULL AND recovery_announced_at IS NULL"
    return _read(connection, f"{condition} ORDER BY alert_id", {})


def acknowledge(connection: Connection, alert_id: int, by: str, now: datetime) -> Alert:
    """Record that a person takes an alert on; it is announced no more, but for its end.

    Raises:
        BadInputError: There is no such alert, or it is resolved.
    """
    return _changed(connection, alert_id, _ACKNOWLEDGE, {"by": by, "now": now})


def snooze(connection: Connection, alert_id: int, until: datetime) -> Alert:
    """Silence an alert until a time; where it is still open then, it is announced again.

    Raises:
        BadInputError: There is no such alert, or it is resolved.
    """
    return _changed(connection, alert_id, _SNOOZE, {"until": until})


def _changed(connection: Connection, alert_id: int, statement: Any, bound: dict[str, object]) -> Alert:
    found = _read(connection, "alert_id = :alert_id", {"alert_id": alert_id}) if 0 < alert_id <= LARGEST_ID else []
    if not found:
        raise BadInputError(f"there is no alert {alert_id}; `omc alerts list` shows them")
    if connection.execute(statement, {"alert_id": alert_id, **bound}).rowcount == 0:
        raise BadInputError(f"alert {alert_id} is resolved; there is nothing to acknowledge or to snooze")
    return _read(connection, "alert_id = :alert_id", {"alert_id": alert_id})[0]


def _read(connection: Connection, condition: str, bound: dict[str, object]) -> list[Alert]:
    rows = connection.execute(text(f"SELECT {_COLUMNS} FROM omc.alert WHERE {condition}"), bound).mappings()
    return [Alert(**{**row, "checks": tuple(row["checks"]), "rows": tuple(row["rows"])}) for row in rows]


def _values(raised_by: str, finding: Finding, now: datetime) -> dict[str, object]:
    named = {name: getattr(finding, name) for name in ("severity", "score", "summary", "advice", "playbook")}
    cause, lists = finding.cause, {"checks": list(finding.checks), "rows": list(finding.rows)}
    return {**named, **lists, "raised_by": raised_by, "source": cause.source, "kind": cause.kind, "subject": cause.subject, "now": now}
