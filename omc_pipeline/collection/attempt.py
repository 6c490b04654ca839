"""Record the result of one collection attempt in the state of a collector."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
import structlog

from omc_infra.clock import Clock, utc_now
from omc_infra.errors import DatabaseUnavailableError, NotConfiguredError, OmcError
from omc_infra.logs import redact
from omc_pipeline.collection.state import CollectorKey, CollectorState, record_failure, record_success

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

log = structlog.get_logger()


@dataclass
class Attempt:
    """The result of an attempt so far; set by the collecting code."""

    rows: int = 0


@contextmanager
def attempt(database: Database, key: CollectorKey, pause_after: int, clock: Clock = utc_now) -> Iterator[Attempt]:
    """Record the success or failure of the block; connections are opened only afterwards.

    Args:
        database: Where the state is.
        key: What is collected.
        pause_after: Permanent failures in a row that lead to a pause; 0: never.
        clock: Tells when it ended.

    Raises:
        OmcError: That of the block. Where it has led to a pause, its message says so.
    """
    began, made = time.monotonic(), Attempt()
    try:
        yield made
    except OmcError as error:
        paused = _failed(database, key, error, pause_after, clock)
        if paused is None:
            raise
        raise type(error)(f"{error}; {paused.refusal(clock())}") from error
    seconds = time.monotonic() - began
    with _writing(database) as connection:
        record_success(connection, key, rows=made.rows, seconds=seconds, now=clock())


@contextmanager
def opening(database: Database, keys: Sequence[CollectorKey], pause_after: int, clock: Clock = utc_now) -> Iterator[None]:
    """Record a failure of the block for each collector that could not start; collectors that started record their own.

    A missing key is recorded for the source, not for its endpoints.
    """
    try:
        yield
    except NotConfiguredError as error:
        for key in sorted({CollectorKey(key.source, "", key.account_id) for key in keys}):
            _failed(database, key, error, pause_after, clock)
        raise
    except OmcError as error:
        for key in keys:
            _failed(database, key, error, pause_after, clock)
        raise


def recorded(
    connection: psycopg.Connection[Any],
    key: CollectorKey,
    failure: OmcError | None,
    *,
    rows: int,
    seconds: float,
    now: datetime,
    pause_after: int,
) -> OmcError | None:
    """Record the result of one endpoint's collection, on the connection that collected it.

    Returns:
        The failure, which says so where it has led to a pause; None where there was none.
    """
    if failure is None:
        record_success(connection, key, rows=rows, seconds=seconds, now=now)
        return None
    paused = record_failure(connection, key, failure, now=now, pause_after=pause_after)
    if paused is None:
        return failure
    log.warning("a source is paused", source=str(key), reason=paused.pause_reason)
    details = type(failure)(f"{failure}; {paused.refusal(now)}")
    details.__cause__ = failure
    return details


def _failed(database: Database, key: CollectorKey, error: OmcError, pause_after: int, clock: Clock) -> CollectorState | None:
    try:
        with _writing(database) as connection:
            paused = record_failure(connection, key, error, now=clock(), pause_after=pause_after)
    except DatabaseUnavailableError as second:  # the failure of the collection is the one to tell
        log.warning("the failure of a collection is not recorded", source=str(key), reason=redact(str(second)))
        return None
    if paused:
        log.warning("a source is paused", source=str(key), reason=paused.pause_reason)
    return paused


@contextmanager
def _writing(database: Database) -> Iterator[psycopg.Connection[Any]]:
    try:
        with database.connect("writer") as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"PostgreSQL: {str(error).strip().splitlines()[0]}") from error
