"""The database connection of a collection, and the lock that allows one collection of a source at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from omc_infra.errors import DatabaseUnavailableError, RetryableError
from omc_pipeline.collection.accounts import Account
from omc_pipeline.collection.source import Source

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

_WAIT_FOR_OTHER_S = 120


@contextmanager
def writing(database: Database, source: Source, account: Account | None = None) -> Iterator[psycopg.Connection[Any]]:
    """Connect as writer and lock the source, or one account of it, until the connection closes.

    Two collections at once would mix up the nonces of a signed API.

    Raises:
        RetryableError: Another collection has held it for too long.
        DatabaseUnavailableError: PostgreSQL went away.
    """
    try:
        with database.connect("writer") as connection:
            _wait_for_others(connection, source, account)
            yield connection
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"PostgreSQL: {str(error).strip().splitlines()[0]}") from error


def _wait_for_others(connection: psycopg.Connection[Any], source: Source, account: Account | None) -> None:
    held = f"omc.collect {source.name}" + (f" {account.user_id} {account.account_id}" if account else "")
    try:
        with connection.transaction():
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{_WAIT_FOR_OTHER_S}s")))
            connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [held])
    except psycopg.errors.LockNotAvailable as error:
        raise RetryableError(f"{source.name}: another collection of it has been running for {_WAIT_FOR_OTHER_S} s") from error
