"""Decide what is said of alerts, and queue it: openings, worsenings, ends of snoozes, recoveries.

It looks at the alerts as they are and not at events, so whatever was missed, by a platform that was off or killed, is said by the next
look. Each message is queued in the transaction that notes it at its alert.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from omc_infra.alerts.alert import Alert, Occasion, message_of, opening_key, rank
from omc_infra.alerts.options import AlertsSection
from omc_infra.alerts.store import open_alerts, unannounced_recoveries
from omc_infra.delivery.outbox import channels_of, queue

_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('omc.alert'))")
_LATELY = text("""
SELECT max(announced_at) FROM omc.alert WHERE source = :source AND kind = :kind AND subject = :subject AND announced_at IS NOT NULL
""")
_ANNOUNCED = text("UPDATE omc.alert SET announced_at = :now, announced_severity = severity WHERE alert_id = :alert_id")
_RECOVERED = text("UPDATE omc.alert SET recovery_announced_at = :now WHERE alert_id = :alert_id")


def announce(connection: Connection, options: AlertsSection, profile: str, now: datetime) -> int:
    """Queue the messages that are due, in the caller's transaction; without channels nothing is ever due.

    Returns:
        How many were queued.
    """
    if not options.channels:
        return 0
    connection.execute(_LOCK)
    queued = 0
    for alert in open_alerts(connection):
        occasion = due_occasion(alert, options, _last_announced(connection, alert), now)
        if occasion is not None:
            queued += queue(connection, message_of(alert, occasion, profile, now), options.channels, now)
            connection.execute(_ANNOUNCED, {"alert_id": alert.alert_id, "now": now})
    for alert in unannounced_recoveries(connection):
        reached = [name for name in channels_of(connection, opening_key(alert.alert_id)) if name in options.channels]
        queued += queue(connection, message_of(alert, "resolved", profile, now), reached, now)
        connection.execute(_RECOVERED, {"alert_id": alert.alert_id, "now": now})
    return queued


def due_occasion(alert: Alert, options: AlertsSection, last_announced: datetime | None, now: datetime) -> Occasion | None:
    """Say what is to be said of an open alert now, or None.

    Args:
        alert: An open one.
        options: Least severity, cool-down and maintenance windows.
        last_announced: When its cause was announced last, by this alert or an earlier one.
        now: The present.
    """
    if alert.state(now) != "opened" or rank(alert.severity) < rank(options.minimum_severity) or options.is_silent(alert.source, now):
        return None
    if alert.announced_at is None:
        is_cool = last_announced is None or now >= last_announced + timedelta(minutes=options.cooldown_minutes)
        return "opened" if is_cool else None
    if alert.announced_severity is not None and rank(alert.severity) > rank(alert.announced_severity):
        return "worse"
    if alert.snoozed_until is not None and alert.announced_at < alert.snoozed_until:
        return "still open"
    return None


def _last_announced(connection: Connection, alert: Alert) -> datetime | None:
    if alert.announced_at is not None:
        return alert.announced_at
    found: datetime | None = connection.execute(_LATELY, {"source": alert.source, "kind": alert.kind, "subject": alert.subject}).scalar()
    return found
