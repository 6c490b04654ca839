"""The state of collectors: one row per source, endpoint and account; schedules read it before they launch runs.

A key with an empty endpoint or account stands for all of them: a pause of ``(source, "", "")`` holds the whole source.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from omc_infra.errors import ConfigurationError, NotConfiguredError, OmcError, PermanentError, RetryableError
from omc_infra.logs import redact

PLATFORM = "omc"
"""Who pauses a source that keeps failing."""
_KEPT_DURATIONS = 50
_LONGEST_MESSAGE = 1000
_LONGEST_WAIT = timedelta(days=366)
_SLACK = 0.1
"""Part of its cadence by which an endpoint may be asked early: ticks come a little late or early."""


@dataclass(frozen=True, order=True)
class CollectorKey:
    """What is collected: one endpoint of a source, for one account; empty: all of them, or the only one."""

    source: str
    endpoint: str = ""
    account_id: str = ""

    def __str__(self) -> str:
        """Format it for the user."""
        of_account = f" of account {self.account_id}" if self.account_id else ""
        return "/".join(part for part in (self.source, self.endpoint) if part) + of_account

    @property
    def wider(self) -> tuple[CollectorKey, ...]:
        """The keys that include this one, widest first; itself last."""
        of_source, of_account = CollectorKey(self.source), CollectorKey(self.source, "", self.account_id)
        return tuple(dict.fromkeys((of_source, of_account, CollectorKey(self.source, self.endpoint), self)))


@dataclass(frozen=True)
class CollectorState:
    """One row; times are None where there was nothing yet.

    Attributes:
        is_configured: Whether it could be collected when somebody last looked; None: nobody did.
        paused_until: None while ``paused_at`` is set: until somebody resumes it.
        last_rows: Rows of the last success; ``rows`` of all of them.
        consecutive_failures: Failures since the last success; of these ``permanent_failures`` a rerun can't help.
        next_allowed_at: Before this time the upstream does not want to be asked.
        recent_s: Seconds that the most recent successes took, oldest first.
    """

    source: str
    endpoint: str = ""
    account_id: str = ""
    is_configured: bool | None = None
    not_configured_reason: str | None = None
    paused_at: datetime | None = None
    paused_by: str | None = None
    paused_until: datetime | None = None
    pause_reason: str | None = None
    last_success_at: datetime | None = None
    last_rows: int | None = None
    rows: int = 0
    last_failure_at: datetime | None = None
    failure_class: str | None = None
    failure_message: str | None = None
    is_retryable: bool | None = None
    consecutive_failures: int = 0
    permanent_failures: int = 0
    next_allowed_at: datetime | None = None
    recent_s: tuple[float, ...] = ()

    @property
    def key(self) -> CollectorKey:
        """What it is the state of."""
        return CollectorKey(self.source, self.endpoint, self.account_id)

    @property
    def p95_s(self) -> float | None:
        """The 95th percentile of ``recent_s``, by nearest rank; None without a success."""
        ordered = sorted(self.recent_s)
        return ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else None

    @property
    def last_attempt_at(self) -> datetime | None:
        """When it was last collected, with or without success."""
        return max((at for at in (self.last_success_at, self.last_failure_at) if at), default=None)

    def is_paused(self, now: datetime) -> bool:
        """Return whether a pause is active."""
        return self.paused_at is not None and (self.paused_until is None or now < self.paused_until)

    def refusal(self, now: datetime) -> str | None:
        """Return why it must not be collected now, or None."""
        if self.is_paused(now):
            end = f" until {self.paused_until:%Y-%m-%d %H:%M}Z" if self.paused_until else f"; `omc sources resume {self.source}`"
            return f"{self.key} is paused by {self.paused_by}{f' ({self.pause_reason})' if self.pause_reason else ''}{end}"
        if self.next_allowed_at is not None and now < self.next_allowed_at:
            return f"{self.key} waits until {self.next_allowed_at:%Y-%m-%d %H:%M:%S}Z, as its upstream asked"
        return None


@dataclass(frozen=True)
class States:
    """The states of some collectors at one moment."""

    by_key: Mapping[CollectorKey, CollectorState]

    def __iter__(self) -> Iterator[CollectorState]:
        """Go through the states by source, endpoint and account."""
        return iter(self.by_key[key] for key in sorted(self.by_key))

    def of(self, key: CollectorKey) -> CollectorState:
        """Return a state; a fresh one for what was never collected."""
        return self.by_key.get(key) or CollectorState(key.source, key.endpoint, key.account_id)

    def refusal(self, key: CollectorKey, now: datetime) -> str | None:
        """Return why a collector must not be launched now (a pause or ban of it or of a wider key), or None."""
        return next((said for wider in key.wider if (said := self.of(wider).refusal(now))), None)

    def may_launch(self, key: CollectorKey, now: datetime) -> bool:
        """Return whether a collector may be launched now."""
        return self.refusal(key, now) is None

    def is_due(self, key: CollectorKey, every_s: float, now: datetime) -> bool:
        """Say whether a collector that is asked each ``every_s`` seconds was not asked for as long, and may be launched."""
        last = self.of(key).last_attempt_at
        return self.may_launch(key, now) and (last is None or (now - last).total_seconds() >= every_s * (1 - _SLACK))


def states(connection: psycopg.Connection[Any], source: str | None = None) -> States:
    """Read the states of all collectors, or of one source's, in one query.

    Args:
        connection: Of role reader or writer.
        source: Whose.
    """
    columns = ", ".join(field.name for field in fields(CollectorState))
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(f"SELECT {columns} FROM collection.state WHERE %(source)s::text IS NULL OR source = %(source)s", {"source": source})
        found = [CollectorState(**{**row, "recent_s": tuple(row["recent_s"])}) for row in cursor]
    return States({state.key: state for state in found})


def record_success(connection: psycopg.Connection[Any], key: CollectorKey, *, rows: int, seconds: float, now: datetime) -> None:
    """Record a successful collection; this resets failures, and ends a pause that they caused.

    Args:
        connection: Of role writer.
        key: What was collected.
        rows: Rows it brought.
        seconds: How long it took.
        now: When it ended.
    """
    statement = f"""
        INSERT INTO collection.state AS s (source, endpoint, account_id, is_configured, last_success_at, last_rows, rows, recent_s)
        VALUES (%(source)s, %(endpoint)s, %(account_id)s, true, %(now)s, %(rows)s, %(rows)s, ARRAY[%(seconds)s::real])
        ON CONFLICT (source, endpoint, account_id) DO UPDATE SET
            is_configured = true, not_configured_reason = NULL, last_success_at = %(now)s, last_rows = %(rows)s, rows = s.rows + %(rows)s,
            consecutive_failures = 0, permanent_failures = 0, next_allowed_at = NULL,
            recent_s = (s.recent_s || %(seconds)s::real)[greatest(1, cardinality(s.recent_s) + 2 - {_KEPT_DURATIONS}):],
            paused_at = CASE WHEN s.paused_by <> '{PLATFORM}' THEN s.paused_at END,
            paused_by = CASE WHEN s.paused_by <> '{PLATFORM}' THEN s.paused_by END,
            paused_until = CASE WHEN s.paused_by <> '{PLATFORM}' THEN s.paused_until END,
            pause_reason = CASE WHEN s.paused_by <> '{PLATFORM}' THEN s.pause_reason END"""
    with connection.transaction():
        connection.execute(statement, {**_bound(key), "rows": rows, "seconds": seconds, "now": now})


def record_failure(
    connection: psycopg.Connection[Any], key: CollectorKey, error: OmcError, *, now: datetime, pause_after: int
) -> CollectorState | None:
    """Record that a collection failed.

    A missing key is recorded as *not configured*, not as a failure. A configuration error doesn't count towards a pause: the next
    run after it is fixed must not be blocked.

    Args:
        connection: Of role writer.
        key: What was to be collected.
        error: Why it failed; its message is redacted, and ``retry_after_s`` becomes the next allowed time.
        now: When.
        pause_after: Permanent failures since the last success that lead to a pause; 0: never.

    Returns:
        The state where this failure has led to a pause, else None.
    """
    if isinstance(error, NotConfiguredError):
        record_configured(connection, {key: str(error)})
        return None
    counts = isinstance(error, PermanentError) and not isinstance(error, ConfigurationError)
    bound = {**_bound(key), "now": now, "class": type(error).__name__, "message": redact(str(error))[:_LONGEST_MESSAGE]}
    bound |= {"retryable": error.retryable, "counted": int(counts), "next": _next_allowed(error, now), "pause_after": pause_after}
    statement = """
        INSERT INTO collection.state AS s (source, endpoint, account_id, last_failure_at, failure_class, failure_message, is_retryable,
            consecutive_failures, permanent_failures, next_allowed_at)
        VALUES (%(source)s, %(endpoint)s, %(account_id)s, %(now)s, %(class)s, %(message)s, %(retryable)s, 1, %(counted)s, %(next)s)
        ON CONFLICT (source, endpoint, account_id) DO UPDATE SET
            last_failure_at = %(now)s, failure_class = %(class)s, failure_message = %(message)s, is_retryable = %(retryable)s,
            consecutive_failures = s.consecutive_failures + 1, permanent_failures = s.permanent_failures + %(counted)s,
            next_allowed_at = greatest(s.next_allowed_at, %(next)s)"""
    with connection.transaction():
        connection.execute(statement, bound)
        paused = connection.execute(
            f"""UPDATE collection.state SET paused_at = %(now)s, paused_by = '{PLATFORM}', paused_until = NULL,
                    pause_reason = format('%%s permanent failures in a row, the last: %%s', permanent_failures, failure_class)
                WHERE source = %(source)s AND endpoint = %(endpoint)s AND account_id = %(account_id)s AND %(counted)s = 1
                    AND %(pause_after)s > 0 AND permanent_failures >= %(pause_after)s
                    AND (paused_at IS NULL OR paused_until <= %(now)s)""",
            bound,
        )
    return states(connection, key.source).of(key) if paused.rowcount else None


def record_configured(connection: psycopg.Connection[Any], reasons: Mapping[CollectorKey, str | None]) -> None:
    """Record which collectors are configured.

    Args:
        connection: Of role writer.
        reasons: By collector: why it is not configured, or None where it is.
    """
    statement = """
        INSERT INTO collection.state AS s (source, endpoint, account_id, is_configured, not_configured_reason)
        VALUES (%(source)s, %(endpoint)s, %(account_id)s, %(configured)s, %(reason)s)
        ON CONFLICT (source, endpoint, account_id) DO UPDATE SET is_configured = %(configured)s, not_configured_reason = %(reason)s
        WHERE (s.is_configured, s.not_configured_reason) IS DISTINCT FROM (%(configured)s::boolean, %(reason)s::text)"""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            statement, [{**_bound(key), "configured": reason is None, "reason": reason} for key, reason in sorted(reasons.items())]
        )


def pause(
    connection: psycopg.Connection[Any], key: CollectorKey, *, by: str, now: datetime, until: datetime | None = None, reason: str = ""
) -> CollectorState:
    """Pause a collector, and all that it stands for, until a time or until somebody resumes it; return its state."""
    statement = """
        INSERT INTO collection.state (source, endpoint, account_id, paused_at, paused_by, paused_until, pause_reason)
        VALUES (%(source)s, %(endpoint)s, %(account_id)s, %(now)s, %(by)s, %(until)s, %(reason)s)
        ON CONFLICT (source, endpoint, account_id) DO UPDATE
        SET paused_at = %(now)s, paused_by = %(by)s, paused_until = %(until)s, pause_reason = %(reason)s"""
    with connection.transaction():
        connection.execute(statement, {**_bound(key), "now": now, "by": by, "until": until, "reason": reason or None})
    return states(connection, key.source).of(key)


def resume(connection: psycopg.Connection[Any], key: CollectorKey) -> list[CollectorKey]:
    """End the pauses of a collector and of all that it includes, and reset their failures; a ban of an upstream stays.

    Returns:
        The collectors that were paused.
    """
    statement = """
        WITH paused AS (
            SELECT source, endpoint, account_id, paused_at FROM collection.state
            WHERE source = %(source)s AND %(endpoint)s IN ('', endpoint) AND %(account_id)s IN ('', account_id) FOR UPDATE
        )
        UPDATE collection.state AS s SET paused_at = NULL, paused_by = NULL, paused_until = NULL, pause_reason = NULL,
            consecutive_failures = 0, permanent_failures = 0
        FROM paused AS p WHERE (s.source, s.endpoint, s.account_id) = (p.source, p.endpoint, p.account_id)
        RETURNING p.source, p.endpoint, p.account_id, p.paused_at IS NOT NULL"""
    with connection.transaction():
        found = connection.execute(statement, _bound(key)).fetchall()
    return sorted(CollectorKey(*row[:3]) for row in found if row[3])


def _next_allowed(error: OmcError, now: datetime) -> datetime | None:
    wait_s = error.retry_after_s if isinstance(error, RetryableError) else None
    if wait_s is None or not wait_s > 0:
        return None
    return now + min(timedelta(seconds=min(wait_s, _LONGEST_WAIT.total_seconds())), _LONGEST_WAIT)


def _bound(key: CollectorKey) -> dict[str, Any]:
    return {"source": key.source, "endpoint": key.endpoint, "account_id": key.account_id}
