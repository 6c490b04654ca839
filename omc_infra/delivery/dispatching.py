"""Send what is due in the outbox: claim, send, record; a failure is repeated with a growing wait until it is given up."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from omc_infra.clock import Clock, utc_now
from omc_infra.delivery.channels import Channel
from omc_infra.delivery.outbox import Delivery, claim, record_failure, record_sent
from omc_infra.delivery.persistence import Persistence
from omc_infra.errors import OmcError
from omc_infra.postgres.database import Database

log = structlog.get_logger()
_MOST_AT_ONCE = 50
"""Deliveries of one call; whoever calls again goes on."""


def deliver_due(database: Database, channel_of: Callable[[str], Channel], persistence: Persistence, clock: Clock = utc_now) -> int:
    """Make the deliveries that are due.

    Args:
        database: Whose outbox.
        channel_of: Makes a channel by its name; may raise ``ConfigurationError``.
        persistence: How long a delivery is tried.
        clock: The present.

    Returns:
        How many were sent.
    """
    sent = 0
    for _ in range(_MOST_AT_ONCE):
        with database.engine("writer").begin() as connection:
            delivery = claim(connection, clock())
        if delivery is None:
            break
        sent += _deliver(database, delivery, channel_of, persistence, clock)
    return sent


def _deliver(database: Database, delivery: Delivery, channel_of: Callable[[str], Channel], persistence: Persistence, clock: Clock) -> bool:
    try:
        channel_of(delivery.channel).send(delivery.message)
    except OmcError as error:
        now = clock()
        next_at = persistence.next_at(delivery, error, now)
        outcome = "it is given up" if next_at is None else f"tried again at {next_at:%H:%M:%S}"
        log.warning("delivery.failed", message=delivery.message.key, channel=delivery.channel, failure=str(error), then=outcome)
        with database.engine("writer").begin() as connection:
            record_failure(connection, delivery, str(error), now, next_at)
        return False
    with database.engine("writer").begin() as connection:
        record_sent(connection, delivery, clock())
    return True
