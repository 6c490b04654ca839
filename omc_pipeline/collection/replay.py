"""Replay: parse stored payloads again, as of the time of their fetch and with the options of that time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg

from omc_infra.errors import OmcError
from omc_infra.objects import Objects
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.recording import OptionsInForce
from omc_pipeline.collection.rehearsal import Rehearsal
from omc_pipeline.collection.source import Source
from omc_pipeline.collection.tally import Collection, Tally
from omc_pipeline.collection.writing import writing
from omc_pipeline.ledgers.preview import Example
from omc_pipeline.ledgers.quarantine import Refused, not_open, resolvable, resolve
from omc_pipeline.ledgers.raw import PostgresRawStore

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database


@dataclass(frozen=True)
class Replayed:
    """Result of a replay, or of its preview.

    Attributes:
        collection: What was counted.
        is_applied: Whether it was written.
        unread: Payloads that can still not be parsed.
        failure: What is wrong with the first of them, or with all rows; None where all is well.
        opened: Refused rows that are not in quarantine yet; of a replay that writes, none: it has put them there.
        examples: By qualified table name, new versions that would be written; of a replay that writes, none.
    """

    collection: Collection
    is_applied: bool
    unread: int = 0
    failure: OmcError | None = None
    opened: Sequence[Refused] = ()
    examples: Mapping[str, Sequence[Example]] = field(default_factory=dict)


@dataclass(frozen=True)
class Stretch:
    """What is parsed again.

    Attributes:
        since: First fetch time.
        until: Fetch time before which to stop.
        config: The source's options of today; None: the defaults.
        with_current_options: Parse with these instead of those that were in force at each fetch.
        bodies: Where bodies lie that are not in the database.
    """

    since: datetime
    until: datetime
    config: SourceConfig | None = None
    with_current_options: bool = False
    bodies: Objects | None = None


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
    """Parse stored payloads again, write the changes, and release rows that are now valid; arguments as in ``Stretch``.

    Raises:
        PayloadChangedError: A body still can't be parsed; raised after the others were handled.
        ConfigurationError: The options of a fetch are no longer valid for the source.
    """
    done = apply_replay(source, database, Stretch(since, until, config, with_current_options, bodies))
    if done.failure is not None:
        raise done.failure
    return done.collection


def apply_replay(source: Source, database: Database, stretch: Stretch) -> Replayed:
    """Parse stored payloads again, write changes as new versions, and release rows that are now valid from quarantine.

    A body that still can't be parsed is part of the result; the others are handled.

    Raises:
        ConfigurationError: The options of a fetch are no longer valid for the source.
    """
    with writing(database, source) as connection:
        tally = Tally(source, bodies=stretch.bodies)
        _read_again(connection, tally, stretch)
        with connection.transaction():
            tally.resolved = resolve(connection, source.name, tally.read, tally.refused)
    return Replayed(tally.counts(), is_applied=True, unread=tally.unread, failure=tally.kept_failure())


def preview_replay(source: Source, database: Database, stretch: Stretch, examples: int = 3) -> Replayed:
    """Find out what ``apply_replay`` would change, without network access and without blocking collections.

    Erasures and pairs that result from the written rows aren't counted.

    Args:
        source: Whose payloads.
        database: Where they are; nothing in it changes.
        stretch: What to read.
        examples: Most new and most changed facts of each table to show.

    Raises:
        ConfigurationError: The options of a fetch are no longer valid for the source.
    """
    with database.connect("writer") as connection, closing(Rehearsal(connection, source)) as rehearsal:
        tally = Tally(source, store=rehearsal.store, bodies=stretch.bodies)
        _read_again(connection, tally, stretch)
        with connection.transaction():
            tally.resolved = len(resolvable(connection, source.name, tally.read, tally.refused))
            opened = not_open(connection, source.name, tally.refused)
        shown = {table.qualified: rehearsal.preview.examples(table, examples) for table in source.tables}
    return Replayed(tally.counts(), is_applied=False, unread=tally.unread, failure=tally.kept_failure(), opened=opened, examples=shown)


def _read_again(connection: psycopg.Connection[Any], tally: Tally, stretch: Stretch) -> None:
    source = tally.source
    current = stretch.config or source.config()
    in_force = OptionsInForce(connection, source, current)
    for payload in PostgresRawStore(connection, stretch.bodies).stored(source.name, stretch.since, stretch.until):
        tally.take(connection, payload, current if stretch.with_current_options else in_force.of(payload), is_replay=True)
