"""Replay: parse stored payloads again, as of when they were fetched and with the options that were in force then."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from omc_infra.objects import Objects
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.recording import OptionsInForce
from omc_pipeline.collection.source import Source
from omc_pipeline.collection.tally import Collection, Tally
from omc_pipeline.collection.writing import writing
from omc_pipeline.ledgers.quarantine import resolve
from omc_pipeline.ledgers.raw import PostgresRawStore

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database


def replay(
    source: Source,
    database: Database,
    since: datetime,
    until: datetime,
    *,
    config: SourceConfig | None = None,
    with_current_options: bool = False,
    bodies: Objects | None = None,
) -> Collection:
    """Parse stored payloads again with the time they were fetched at, and close the quarantine of rows now accepted.

    Args:
        source: Whose payloads.
        database: Where they are.
        since: First fetch time.
        until: Fetch time before which to stop.
        config: The source's options of today; None: the defaults.
        with_current_options: Parse with these instead of those that were in force at each fetch.
        bodies: Where bodies lie that are not in the database.

    Raises:
        PayloadChangedError: A body can still not be parsed; raised after the others were handled.
        ConfigurationError: The options of a fetch no longer fit the source.
    """
    current = config or source.config()
    with writing(database, source) as connection:
        tally, in_force = Tally(source, bodies), OptionsInForce(connection, source, current)
        for payload in PostgresRawStore(connection, bodies).stored(source.name, since, until):
            tally.take(connection, payload, current if with_current_options else in_force.of(payload), is_replay=True)
        with connection.transaction():
            tally.resolved = resolve(connection, source.name, tally.read, tally.refused)
    failure = tally.kept_failure()
    if failure is not None:
        raise failure
    return tally.counts()
