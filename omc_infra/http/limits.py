"""Rate limits, one a base URL, shared by all clients of the process."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from omc_infra.errors import RateLimitedError


def await_turn(base_url: str, requests_per_s: float, burst: int, deadline: float) -> None:
    """Block until the next request may leave.

    Args:
        base_url: Whom it goes to.
        requests_per_s: The rate; the first client of a process to ask a base URL with a rate and burst opens its limit.
        burst: Requests that may leave at once before the rate holds.
        deadline: Latest moment, of ``time.monotonic``.

    Raises:
        RateLimitedError: Our own limit leaves no turn before the deadline.
    """
    remaining_s = max(0.0, deadline - time.monotonic())
    if not _limiter(base_url, requests_per_s, burst).try_acquire(base_url, timeout=remaining_s):
        raise RateLimitedError(
            f"our own limit of {requests_per_s:g} requests a second leaves no turn within the deadline; collect less at once",
            retry_after_s=1 / requests_per_s,
        )


@cache
def _limiter(_base_url: str, requests_per_s: float, burst: int) -> Any:
    from pyrate_limiter import GCRA, Limiter, Rate, SingleBucketFactory, StateBucket

    rate = Rate(1, max(1, round(1000 / requests_per_s)), burst=burst)
    bucket = StateBucket([rate], GCRA())
    # A GCRA bucket keeps one number and has nothing to leak, so the library's background thread stays off.
    return Limiter(SingleBucketFactory(bucket, schedule_leak=False), buffer_ms=1)
