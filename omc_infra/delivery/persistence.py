"""How long a delivery is tried. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from omc_infra.errors import ConfigurationError, OmcError, PermanentError, RetryableError

if TYPE_CHECKING:
    from omc_infra.delivery.outbox import Delivery

_LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True)
class Persistence:
    """How long a delivery is tried: ``retry_s`` after the first failure, twice as long after each further one, until ``give_up_s``."""

    retry_s: float = 30.0
    give_up_s: float = 86_400.0

    def next_at(self, delivery: Delivery, error: OmcError, now: datetime) -> datetime | None:
        """Return when a failed delivery is made again, or None where it is given up.

        A channel that can't be made, because its variable is missing, may be mended, so it counts as a failure that passes.
        """
        if isinstance(error, PermanentError) and not isinstance(error, ConfigurationError):
            return None
        wait_s = min(_LONGEST_WAIT_S, self.retry_s * 2 ** min(delivery.attempts - 1, 20))
        if isinstance(error, RetryableError) and error.retry_after_s:
            wait_s = max(wait_s, error.retry_after_s)
        at = now + timedelta(seconds=wait_s)
        return at if at <= delivery.message.at + timedelta(seconds=self.give_up_s) else None
