"""The heartbeat: an address outside is pinged while the platform is well; whoever listens there raises the alarm when pings stay away.

It says what the platform can't say itself: that it is off, stuck, or without a network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from omc_infra.alerts.options import HEARTBEAT
from omc_infra.delivery.webhook import ask
from omc_infra.errors import ConfigurationError, OmcError

VARIABLE = "OMC_KEY_ALERT_HEARTBEAT"


class Heartbeat:
    """Pings one address, not more often than asked for.

    Args:
        url: The address, a secret; None: there is none.
        clock: Seconds that only grow.
    """

    def __init__(self, url: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._url, self._clock, self._due_at = url, clock, clock()

    def is_due(self) -> bool:
        """Tell whether there is an address, and it is time to ping it."""
        return self._url is not None and self._clock() >= self._due_at

    def beat(self, every_s: float, wrong: Callable[[], Sequence[str]]) -> str | None:
        """Ping where it is due and nothing is wrong.

        Args:
            every_s: Seconds between two pings.
            wrong: Names what is wrong with the platform; asked only where a ping is due.

        Returns:
            Why no ping arrived, in one line; None where it did, or none was due.
        """
        if self._url is None or not self.is_due():
            return None
        self._due_at = self._clock() + every_s
        found = wrong()
        if found:
            return f"no heartbeat: {'; '.join(found)}"
        try:
            if not self._url.startswith(("http://", "https://")):
                raise ConfigurationError(f"{VARIABLE} must be an http:// or https:// address")
            ask(HEARTBEAT, "GET", self._url)
        except OmcError as error:
            return f"no heartbeat: {error}"
        return None
