"""Opens the sessions that no event begins: the market brief of a day, and a brief about each quality alert that opens.

Each is opened once: its subject, the day or the number of the alert, is unique. Each is a batch of its own.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from omc_agents.sessions.options import BriefsSection
from omc_agents.sessions.states import SYSTEM_USER, Trigger
from omc_infra.postgres.database import Database

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('agents.dispatch', 0))")
_OPENED = text("""
INSERT INTO agents.session (session_id, user_id, trigger, subject, batch_id, plan, status, model, event_recorded_at, as_of)
SELECT :session_id, :user_id, :trigger, :subject, :batch_id, CAST(:plan AS jsonb), 'queued', :model, now, now
FROM clock_timestamp() AS now ON CONFLICT DO NOTHING
""")
_HAS_DAY = text("SELECT EXISTS (SELECT FROM agents.session WHERE trigger = 'schedule' AND subject = :subject AND user_id = :user_id)")
_ALERTS = text("""
SELECT a.alert_id, a.raised_by, a.source, a.checks FROM omc.alert AS a
WHERE a.raised_by LIKE 'ledger %' AND a.resolved_at IS NULL AND a.opened_at > :since
    AND NOT EXISTS (SELECT FROM agents.session AS s
        WHERE (s.trigger, s.subject, s.user_id, s.subscription) = ('alert', a.alert_id::text, :user_id, ''))
ORDER BY a.alert_id LIMIT :most
""")
ALERTS_SINCE = timedelta(hours=24)
"""An alert that opened earlier is explained no more, for instance where the option was switched on since."""
MOST_ALERTS = 5
"""Sessions about alerts that one look opens."""
_SOURCE = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)


def open_occasions(database: Database, options: BriefsSection, model_name: Callable[[], str], now: datetime) -> int:
    """Open the sessions that are due.

    Args:
        database: Written as role writer.
        options: When there is a daily brief, of which coins, and whether alerts get one.
        model_name: Names the model that will be asked.
        now: The present, which decides what day it is.

    Returns:
        How many were opened.
    """
    day = due_day(options, now)
    if day is None and not options.on_quality_alert:
        return 0
    with database.engine("writer").begin() as connection:
        connection.execute(_LOCK)
        due = [*_daily(connection, options, day), *(_alerts(connection, now) if options.on_quality_alert else ())]
        return sum(_open(connection, trigger, subject, plan, model_name()) for trigger, subject, plan in due)


def due_day(options: BriefsSection, now: datetime) -> date | None:
    """Return the day, in the zone of the options, of which the brief is due; None before its time, and where there is none.

    A platform that was off at that time writes it later the same day.
    """
    if not options.daily_at:
        return None
    local = now.astimezone(ZoneInfo(options.daily_zone))
    return local.date() if f"{local:%H:%M}" >= options.daily_at else None


def _daily(connection: Connection, options: BriefsSection, day: date | None) -> Iterator[tuple[Trigger, str, dict[str, Any]]]:
    if day is None or connection.execute(_HAS_DAY, {"subject": day.isoformat(), "user_id": SYSTEM_USER}).scalar_one():
        return
    topics = ["events", "sentiment", "quality", "price"]
    yield "schedule", day.isoformat(), {"occasion": "daily", "coins": list(options.daily_coins), "topics": topics, "span": "24h"}


def _alerts(connection: Connection, now: datetime) -> Iterator[tuple[Trigger, str, dict[str, Any]]]:
    wanted = {"since": now - ALERTS_SINCE, "user_id": SYSTEM_USER, "most": MOST_ALERTS}
    for alert in connection.execute(_ALERTS, wanted).mappings():
        plan = {
            "occasion": "alert",
            "coins": [],
            "topics": ["quality"],
            "span": "24h",
            "ledger": alert["raised_by"].removeprefix("ledger "),
            "checked": [name for name in alert["checks"] if _SOURCE.fullmatch(name)],
            **({"checked_source": alert["source"]} if _SOURCE.fullmatch(alert["source"]) else {}),
        }
        yield "alert", str(alert["alert_id"]), plan


def _open(connection: Connection, trigger: Trigger, subject: str, plan: dict[str, Any], model: str) -> int:
    values = {"session_id": str(uuid.uuid4()), "user_id": SYSTEM_USER, "batch_id": uuid.uuid4(), "trigger": trigger}
    return connection.execute(_OPENED, {**values, "subject": subject, "plan": json.dumps(plan, sort_keys=True), "model": model}).rowcount
