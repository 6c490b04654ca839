"""Repeat an action that may fail for a while, with a wait, and report the first failure only."""

from __future__ import annotations

import time
from collections.abc import Callable

from omc_infra.errors import RetryableError


class Attempts:
    """Repeat an act that fails, not more often than every ``wait_s`` seconds.

    Args:
        wait_s: Least time from a failure to the next attempt.
    """

    def __init__(self, wait_s: float) -> None:
        self._wait_s, self._again_at, self._is_failing = wait_s, 0.0, False

    def attempt(self, act: Callable[[], bool]) -> bool:
        """Act unless it failed a moment ago; returns what ``act`` returns, and False where it is not tried or fails again.

        Raises:
            RetryableError: The first failure of a row.
        """
        if time.monotonic() < self._again_at:
            return False
        try:
            done = act()
        except RetryableError:
            is_first, self._is_failing, self._again_at = not self._is_failing, True, time.monotonic() + self._wait_s
            if is_first:
                raise
            return False
        self._is_failing = False
        return done
