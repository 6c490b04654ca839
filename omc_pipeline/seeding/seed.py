"""Bring invented rows into a sandbox home, and take exactly those out again.

What was begun and when is kept in ``omc.seeding``: a second seed draws the same days as the first, and so adds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from omc_infra.errors import BadInputError, ConfigurationError
from omc_pipeline.collection.accounts import add_account
from omc_pipeline.collection.erasing import erase_user
from omc_pipeline.ledgers.write import append_bulk
from omc_pipeline.seeding.people import Person, balances, fills, quotes

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

SOURCE = "seed"
VENUE = "seed"
BULK_SOURCE = "seed_scale"
_BEGIN = """
INSERT INTO omc.seeding (what, seed, until) VALUES (%s, %s, %s) ON CONFLICT (what) DO UPDATE SET what = EXCLUDED.what RETURNING seed, until
"""
_QUOTES = "DELETE FROM exchange.quote WHERE source = ANY(%s)"
_SEEDED_USERS = "SELECT DISTINCT user_id FROM exchange.account WHERE venue = %s AND user_id LIKE 'seed-%%' ORDER BY 1"


def refuse_live(profile: str) -> None:
    """Refuse the profile of real rows.

    Raises:
        ConfigurationError: The profile is live.
    """
    if profile == "live":
        raise ConfigurationError("omc seed: made-up rows are not allowed in the live profile; set OMC_PROFILE=sandbox")


def seed_people(database: Database, users: int, days: int, seed: int, now: datetime) -> Mapping[str, int]:
    """Write users, accounts, fills, balances and quotes of some days up to the midnight before the first seed.

    Args:
        database: Of the sandbox profile.
        users: ``seed-1`` and so on.
        days: How many.
        seed: Another one draws other rows; of the same fills and balances it would make new versions, so clear first.
        now: The present, aware.

    Returns:
        New rows by table; zeros the second time.

    Raises:
        ConfigurationError: The profile is live.
        BadInputError: Another seed was used before, or an account of such a name is the user's own.
    """
    refuse_live(database.profile)
    added: dict[str, int] = {}
    with database.connect("writer") as connection:
        until = begun(connection, "people", seed, now.replace(hour=0, minute=0, second=0, microsecond=0))
        first = until - timedelta(days=days)
        people = [Person(number) for number in range(1, users + 1)]
        added["exchange.account"] = sum(account_made(connection, person.user_id, person.account_id) for person in people)
        connection.commit()
        for rows in (quotes(seed, first, days), *(drawn(seed, person, first, days) for person in people for drawn in (fills, balances))):
            for table, count in append_bulk(connection, SOURCE, rows, None).items():
                added[table] = added.get(table, 0) + count.inserted + count.changed
    return added


def clear(database: Database) -> Mapping[str, int]:
    """Remove what seeding made, whatever was computed from it included, and nothing else.

    Returns:
        Removed rows by table.

    Raises:
        ConfigurationError: The profile is live.
    """
    refuse_live(database.profile)
    removed: dict[str, int] = {}
    with database.connect("owner") as connection, connection.transaction():
        for (user_id,) in connection.execute(_SEEDED_USERS, [VENUE]).fetchall():
            for table, count in erase_user(connection, user_id, SOURCE, audited=False).items():
                removed[table] = removed.get(table, 0) + count
        removed["exchange.quote"] = connection.execute(_QUOTES, [[SOURCE, BULK_SOURCE]]).rowcount
        connection.execute("DELETE FROM omc.seeding")
    return {table: count for table, count in sorted(removed.items()) if count}


def begun(connection: psycopg.Connection[Any], what: str, seed: int, until: datetime) -> datetime:
    """Return the time at which seeded rows end: that of the first seeding of a kind, or the given one.

    Raises:
        BadInputError: It was begun with another seed.
    """
    with connection.transaction():
        row = connection.execute(_BEGIN, [what, seed, until]).fetchone()
    if row is None or row[0] != seed:
        raise BadInputError(f"--seed {seed}: this home was seeded with {row[0] if row else 'another one'}; `omc seed --clear` removes that")
    return row[1]  # type: ignore[no-any-return]


def account_made(connection: psycopg.Connection[Any], user_id: str, account_id: str) -> bool:
    """Add an invented account with its user; return whether it was new.

    Raises:
        BadInputError: There is a user of that name that seeding has not made.
    """
    with connection.transaction():
        known = connection.execute("SELECT venue FROM exchange.account WHERE account_id = %s", [account_id]).fetchone()
        if known == (VENUE,):
            return False
        if known or connection.execute("SELECT 1 FROM exchange.users WHERE user_id = %s", [user_id]).fetchone():
            raise BadInputError(f"user '{user_id}' exists, but was not seeded")
        add_account(connection, user_id, VENUE, None, account_id, "invented")
    return True
