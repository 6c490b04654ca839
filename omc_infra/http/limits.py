"""Rate limits, quotas and bans, counted by host group.

Two implementations: ``PostgresLimits`` counts across all processes of a database, ``InProcessLimits`` in this process only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import NoReturn, Protocol

import structlog

from omc_infra.errors import RateLimitedError

_log = structlog.get_logger()

_LOGGED_WAIT_S = 0.5
"""A shorter wait is not logged."""


@dataclass(frozen=True)
class Quota:
    """A maximum number of requests in a window; a window starts with the first request after the previous window.

    Attributes:
        requests: How many.
        window_s: Length of the window.
    """

    requests: int
    window_s: float


@dataclass(frozen=True)
class RateLimit:
    """Rate limit of a host group.

    Attributes:
        group: Name under which requests are counted.
        requests_per_s: The rate.
        burst: Requests that may be sent at once before the rate applies.
        quota: An additional quota, or None.
    """

    group: str
    requests_per_s: float
    burst: int = 1
    quota: Quota | None = None

    @property
    def gap_s(self) -> float:
        """Seconds between two requests at the rate."""
        return 1 / self.requests_per_s


class Limits(Protocol):
    """Counts requests and bans of host groups."""

    def reserve(self, rate_limit: RateLimit, patience_s: float) -> float:
        """Reserve the next request slot and return the seconds until it, 0 or more.

        Raises:
            RateLimitedError: No turn comes within the patience: the group is banned, its quota used up, or others are before us. No turn
                is taken; ``retry_after_s`` is the wait until one may be had.
        """
        ...

    def banned_s(self, group: str) -> float:
        """Return the remaining seconds of a ban, 0 without one."""
        ...

    def ban(self, group: str, seconds: float, reason: str) -> None:
        """Block requests to the group for some time; a longer existing ban stays.

        Args:
            group: Name of the host group.
            seconds: From now on.
            reason: One line for the user, without secrets.
        """
        ...


def await_turn(limits: Limits, rate_limit: RateLimit, deadline: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Block until the next request may leave.

    Args:
        limits: Where the turn is taken.
        rate_limit: Of the host group.
        deadline: Latest moment, of ``time.monotonic``.
        sleep: Waits some seconds.

    Raises:
        RateLimitedError: No turn comes before the deadline, or a ban came while we waited.
    """
    wait_s = limits.reserve(rate_limit, max(0.0, deadline - time.monotonic()))
    if wait_s <= 0:
        return
    if wait_s >= _LOGGED_WAIT_S:
        _log.info("http.wait", group=rate_limit.group, wait_s=round(wait_s, 2))
    sleep(wait_s)
    if (banned_s := limits.banned_s(rate_limit.group)) > 0:
        refuse_banned(rate_limit.group, banned_s, "while we waited for our turn")


def refuse_banned(group: str, left_s: float, reason: str) -> NoReturn:
    """Raise the error for a banned host group."""
    raise RateLimitedError(f"{group}: no requests allowed for another {left_s:.0f} s: {reason}", retry_after_s=left_s)


def refuse_quota(rate_limit: RateLimit, left_s: float) -> NoReturn:
    """Raise the error for a used-up quota."""
    quota = rate_limit.quota
    details = f"{quota.requests} requests in {quota.window_s:g} s" if quota else "requests"
    raise RateLimitedError(
        f"our own quota of {details} for {rate_limit.group} is used up; it is renewed in {left_s:.0f} s", retry_after_s=left_s
    )


def refuse_turn(rate_limit: RateLimit, wait_s: float) -> NoReturn:
    """Raise the error for a request slot after the deadline."""
    raise RateLimitedError(
        f"our own limit of {rate_limit.requests_per_s:g} requests a second to {rate_limit.group} leaves no turn within the deadline;"
        " collect less at once",
        retry_after_s=wait_s,
    )


@dataclass
class _Group:
    free_at: float = float("-inf")
    banned_until: float = float("-inf")
    reason: str = ""
    quota_from: float = float("-inf")
    quota_used: int = 0


@dataclass
class InProcessLimits:
    """``Limits`` of one process, for use without a database; safe for threads."""

    clock: Callable[[], float] = time.monotonic
    _groups: dict[str, _Group] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reserve(self, rate_limit: RateLimit, patience_s: float) -> float:
        """See ``Limits``."""
        with self._lock:
            group, now = self._groups.setdefault(rate_limit.group, _Group()), self.clock()
            if group.banned_until > now + patience_s:
                refuse_banned(rate_limit.group, group.banned_until - now, group.reason)
            if rate_limit.quota and now >= group.quota_from + rate_limit.quota.window_s:
                group.quota_from, group.quota_used = now, 0
            if rate_limit.quota and group.quota_used >= rate_limit.quota.requests:
                refuse_quota(rate_limit, group.quota_from + rate_limit.quota.window_s - now)
            turn = max(group.free_at, group.banned_until, now - (rate_limit.burst - 1) * rate_limit.gap_s)
            if turn > now + patience_s:
                refuse_turn(rate_limit, turn - now)
            group.free_at = turn + rate_limit.gap_s
            group.quota_used += 1
            return max(0.0, turn - now)

    def banned_s(self, group: str) -> float:
        """See ``Limits``."""
        with self._lock:
            return max(0.0, self._groups.setdefault(group, _Group()).banned_until - self.clock())

    def ban(self, group: str, seconds: float, reason: str) -> None:
        """See ``Limits``."""
        with self._lock:
            known, until = self._groups.setdefault(group, _Group()), self.clock() + seconds
            if until > known.banned_until:
                known.banned_until, known.reason = until, reason


@cache
def process_limits() -> InProcessLimits:
    """Return the default limits, shared by all clients of this process."""
    return InProcessLimits()
