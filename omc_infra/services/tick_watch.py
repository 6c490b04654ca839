"""Schedules and sensors whose ticks fail: Dagster records them where nobody looks, so the platform's console tells of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
import structlog

from omc_infra.errors import OmcError
from omc_infra.postgres.database import Database
from omc_infra.postgres.roles import Role
from omc_infra.terminal import one_line

log = structlog.get_logger()
TICKS_ROLE: Role = "dagster"
"""The role that may read Dagster's tables."""
_LOOK_S = 5.0
_LONGEST_REASON = 300
_RECENT = timedelta(days=1)

# Each instigator's newest tick that has ended: a look along the index on (selector_id, timestamp) for each of the few there are.
_NEWEST = """
SELECT tick.selector_id, tick.id, tick.status, CASE WHEN tick.status = 'FAILURE' THEN tick.tick_body END
FROM dagster.instigators AS known, LATERAL (
    SELECT * FROM dagster.job_ticks WHERE selector_id = known.selector_id AND status <> 'STARTED' ORDER BY timestamp DESC LIMIT 1
) AS tick WHERE tick.timestamp > %(since)s
"""

# Those that fail now, of instigators that nobody stopped.
_FAILING = """
SELECT tick.tick_body, tick.timestamp AT TIME ZONE 'UTC'
FROM dagster.instigators AS known, LATERAL (
    SELECT * FROM dagster.job_ticks WHERE selector_id = known.selector_id AND status <> 'STARTED' ORDER BY timestamp DESC LIMIT 1
) AS tick WHERE tick.timestamp > %(since)s AND tick.status = 'FAILURE' AND known.status <> 'STOPPED' ORDER BY tick.id
"""


@dataclass(frozen=True)
class FailingTicks:
    """A schedule or sensor whose newest tick failed: its name, why, and when."""

    name: str
    reason: str
    at: datetime


def failing_ticks(database: Database, now: datetime) -> list[FailingTicks]:
    """Return the schedules and sensors whose newest tick of the last day failed.

    Raises:
        OmcError, psycopg.Error: Dagster's tables can't be read.
    """
    with database.connect(TICKS_ROLE) as connection:
        rows = connection.execute(_FAILING, {"since": _moment((now - _RECENT).timestamp())}).fetchall()
    return [FailingTicks(*_described(body), at) for body, at in rows]


class TickWatch:
    """Looks at the newest tick of each schedule and sensor every few seconds; cheap enough to be called every second.

    Args:
        database: Which holds Dagster's tables.
        since: Seconds since 1970; older ticks are history.
    """

    def __init__(self, database: Database, since: float | None = None) -> None:
        self._database = database
        self._since = time.time() if since is None else since
        self._failing: dict[str, str] = {}
        self._look_at = 0.0

    def watch(self) -> Iterator[str]:
        """Yield a line for each schedule or sensor whose ticks begin to fail, and for each whose ticks work again."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_S
        for selector, _, status, body in self._newest():
            known = self._failing.get(selector)
            if status == "FAILURE" and known is None:
                name, reason = _described(body)
                self._failing[selector] = name
                yield f"ticks of {name} fail: {reason}"
            elif status != "FAILURE" and known is not None:
                del self._failing[selector]
                yield f"ticks of {known} work again"

    def _newest(self) -> list[tuple[str, int, str, str | None]]:
        try:
            with self._database.connect(TICKS_ROLE) as connection:
                return connection.execute(_NEWEST, {"since": _moment(self._since)}).fetchall()
        except (OmcError, psycopg.Error) as error:
            log.debug("ticks can't be read", reason=one_line(error))
            return []


def _moment(since: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(since))  # Dagster's column is UTC without saying so


def _described(body: str | None) -> tuple[str, str]:
    """Read an instigator's name and the reason of its failure from a tick as Dagster serializes it."""
    try:
        tick = json.loads(body or "{}")
        data = tick.get("tick_data", tick)
        error = data.get("error") or {}
        while error.get("cause"):
            error = error["cause"]
        return str(data.get("instigator_name") or data.get("job_name")), one_line(error.get("message", "see the UI"))[:_LONGEST_REASON]
    except (ValueError, AttributeError):
        return "a schedule or sensor", "see the UI"
