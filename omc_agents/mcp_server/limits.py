"""How often a client may call."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from omc_infra.errors import RateLimitedError

_WINDOW_S = 60.0


class CallLimit:
    """Lets so many calls pass in any minute."""

    def __init__(self, calls_per_minute: int, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock_s = calls_per_minute, clock_s
        self._passed: deque[float] = deque()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Count a call.

        Raises:
            RateLimitedError: There were too many in the last minute; this one doesn't count.
        """
        with self._lock:
            now = self._clock_s()
            while self._passed and self._passed[0] <= now - _WINDOW_S:
                self._passed.popleft()
            if len(self._passed) >= self._most:
                wait_s = self._passed[0] + _WINDOW_S - now
                raise RateLimitedError(f"more than {self._most} calls in a minute; call again in {wait_s:.0f} s", retry_after_s=wait_s)
            self._passed.append(now)
