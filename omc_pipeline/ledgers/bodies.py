"""Bodies of upstream answers in S3: where each one is stored, and deleting removed ones there.

The table ``raw.payload`` then has ``obj:`` and the place instead of the body. Rules for bodies in the table (whether one exists, that
it was removed) therefore apply to those in S3, too. A trigger records each removed body in ``raw.unwanted``.
"""

from __future__ import annotations

import psycopg

from omc_infra.errors import ConfigurationError
from omc_infra.objects import Objects, in_s3, storage_of
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings

_POINTER = b"obj:"
_A_SWEEP = 10_000
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('omc.body ' || %s, 0))"
"""Taken by whoever stores a body in S3 or deletes it there, until the transaction ends."""


def bodies_of(settings: Settings) -> Objects | None:
    """Return the store of bodies outside the database; None if they are stored in the database.

    Raises:
        ConfigurationError: The section ``storage`` is wrong.
    """
    config = storage_of(settings)
    return in_s3(config, settings, "bodies") if config.bodies == "s3" else None


def name_of(sha256: str) -> str:
    """Return the name of a body's object."""
    return f"{sha256[:2]}/{sha256}.zst"


def pointer(bodies: Objects) -> bytes:
    """Return the value in the table for a body that is stored elsewhere."""
    return _POINTER + bodies.shown.encode()


def packed_body(stored: bytes, sha256: str, bodies: Objects | None) -> bytes:
    """Return the packed body, given its value in the table.

    Raises:
        ConfigurationError: It is in a store that is not configured.
        LookupError: It is not there.
        OmcError: The store refuses, or can't be reached.
    """
    if not stored.startswith(_POINTER):
        return stored
    place = stored.removeprefix(_POINTER).decode()
    if bodies is None or bodies.shown != place:
        raise ConfigurationError(
            f'raw store: body {sha256[:12]} is stored in {place}: set this as `s3`, and `bodies = "s3"`, in section `storage`'
        )
    return bodies.read(name_of(sha256))


def delete_unwanted(database: Database, bodies: Objects) -> int:
    """Delete the removed bodies in S3, except those that were stored again since.

    Returns:
        How many were deleted.
    """
    with database.connect("writer") as connection:
        connection.autocommit = True
        unwanted = connection.execute("SELECT sha256 FROM raw.unwanted WHERE place = %s LIMIT %s", [bodies.shown, _A_SWEEP]).fetchall()
        return sum(_delete(connection, bodies, sha256) for (sha256,) in unwanted)


def _delete(connection: psycopg.Connection, bodies: Objects, sha256: str) -> bool:
    with connection.transaction():
        connection.execute(LOCK, [sha256])
        is_held = connection.execute("SELECT FROM raw.payload WHERE sha256 = %s AND body = %b", [sha256, pointer(bodies)]).fetchone()
        if is_held is None:
            bodies.delete(name_of(sha256))
        connection.execute("DELETE FROM raw.unwanted WHERE place = %s AND sha256 = %s", [bodies.shown, sha256])
    return is_held is None
