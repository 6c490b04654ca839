"""Users and their accounts at venues: which source collects an account, and whether it is active.

An account's id is unique across all users. The first account of the configured user at a venue has the venue's name
(``coinspot``): it is the *default account*; its keys need no suffix. All others are ``<user>-<venue>``, with a number if that
is taken, unless the user chooses an id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import psycopg

from omc_infra.errors import BadInputError

State = Literal["active", "paused", "removed"]
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_COLUMNS = "account_id, user_id, venue, source, label, state, state_changed_at, state_changed_by, held_at, held_reason, created_at"
_LIST = f"""
SELECT {_COLUMNS} FROM exchange.account
WHERE (%(user)s::text IS NULL OR user_id = %(user)s) AND (%(source)s::text IS NULL OR source = %(source)s) AND state = ANY(%(states)s)
ORDER BY created_at, account_id
"""
_ONE = f"SELECT {_COLUMNS} FROM exchange.account WHERE account_id = %s"
_ADD = f"""
INSERT INTO exchange.account (account_id, user_id, venue, source, label) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING RETURNING {_COLUMNS}
"""
_STATE = """
UPDATE exchange.account SET state = %s, state_changed_at = clock_timestamp(), state_changed_by = %s WHERE account_id = %s
"""
_HOLD = """
UPDATE exchange.account SET held_reason = %(reason)s,
    held_at = CASE WHEN %(reason)s::text IS NULL THEN NULL ELSE coalesce(held_at, clock_timestamp()) END
WHERE account_id = %(account)s AND held_reason IS DISTINCT FROM %(reason)s
"""
_NONCE = "UPDATE exchange.account SET nonce = greatest(nonce + 1, %s) WHERE account_id = %s RETURNING nonce"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('omc.accounts', 0))"


@dataclass(frozen=True)
class Account:
    """The account that a private API is asked for.

    Attributes:
        user_id: The owner.
        account_id: Unique over all users.
        venue: Where it is.
    """

    user_id: str
    account_id: str
    venue: str = ""

    @property
    def is_default(self) -> bool:
        """Whether keys without a suffix belong to this account."""
        return self.account_id == self.venue

    @property
    def context(self) -> Mapping[str, str]:
        """The context that payloads of this account have for their parser."""
        return {"user_id": self.user_id, "account_id": self.account_id}


@dataclass(frozen=True)
class AccountRow(Account):
    """One row of ``exchange.account``.

    Attributes:
        source: The source that collects it by its API; None: only files tell of it.
        label: What its owner calls it.
        state: A paused account is not collected by schedule, a removed one not at all; the fills of both stay.
        state_changed_at: Since when.
        state_changed_by: By whom; None: as it was made.
        held_at: Since when a blocking check of its rows fails, so that its user's profit and loss waits; None: none fails.
        held_reason: Which check.
        created_at: When it was added.
    """

    source: str | None = field(kw_only=True)
    label: str = field(kw_only=True)
    state: State = field(kw_only=True)
    state_changed_at: datetime = field(kw_only=True)
    state_changed_by: str | None = field(kw_only=True)
    held_at: datetime | None = field(kw_only=True)
    held_reason: str | None = field(kw_only=True)
    created_at: datetime = field(kw_only=True)

    @classmethod
    def of(cls, row: Sequence[Any]) -> AccountRow:
        """Read the columns of ``_COLUMNS``."""
        return cls(**dict(zip(_COLUMNS.split(", "), row, strict=True)))


def accounts(
    connection: psycopg.Connection[Any],
    *,
    user_id: str | None = None,
    source: str | None = None,
    states: Sequence[State] = ("active", "paused"),
) -> list[AccountRow]:
    """Return accounts in the order in which they were added, optionally of one user and one source."""
    return [AccountRow.of(row) for row in connection.execute(_LIST, {"user": user_id, "source": source, "states": list(states)})]


def account_named(connection: psycopg.Connection[Any], account_id: str) -> AccountRow:
    """Return one account in any state.

    Raises:
        BadInputError: There is none of that id.
    """
    row = connection.execute(_ONE, [account_id]).fetchone()
    if row is None:
        raise BadInputError(f"there is no account '{account_id}'; see `omc accounts list`")
    return AccountRow.of(row)


def add_account(
    connection: psycopg.Connection[Any], user_id: str, venue: str, source: str | None, account_id: str | None = None, label: str = ""
) -> AccountRow:
    """Add an account, and its user if it is new, within the caller's transaction.

    Args:
        connection: Of role writer.
        user_id: Its owner.
        venue: Where it is.
        source: The source that collects it; None: only files tell of it.
        account_id: Its id; None: ``<user>-<venue>``, or with a number where that is taken.
        label: What its owner calls it.

    Raises:
        BadInputError: The id is taken or malformed, or so is the user's.
    """
    connection.execute(_LOCK)
    for what, name in (("user", user_id), ("account", account_id)):
        if name is not None and not _NAME.fullmatch(name):
            raise BadInputError(f"{what} {name!r}: use up to 64 of a-z, 0-9, - and _, and begin with a letter or digit")
    connection.execute("INSERT INTO exchange.users (user_id) VALUES (%s) ON CONFLICT DO NOTHING", [user_id])
    names = [account_id] if account_id else [f"{user_id}-{venue}", *(f"{user_id}-{venue}-{number}" for number in range(2, 100))]
    for name in names:
        row = connection.execute(_ADD, [name, user_id, venue, source, label]).fetchone()
        if row is not None:
            return AccountRow.of(row)
    raise BadInputError(
        f"account '{names[0]}' exists already, or differs from an existing one only by - and _, which are the same in the names of keys"
    )


def default_account(connection: psycopg.Connection[Any], user_id: str, source: str, venue: str) -> AccountRow:
    """Return the first account that a source collects for a user; add one if the user has none.

    Args:
        connection: Of role writer.
        user_id: Whose.
        source: The source.
        venue: Where a new account is.

    Raises:
        BadInputError: All accounts of the user were removed.
    """
    with connection.transaction():
        connection.execute(_LOCK)
        known = accounts(connection, user_id=user_id, source=source, states=("active", "paused", "removed"))
        if known:
            return _first_that_stands(known)
        is_taken = connection.execute(_ONE, [venue]).fetchone() is not None
        return add_account(connection, user_id, venue, source, None if is_taken else venue)


def _first_that_stands(known: Sequence[AccountRow]) -> AccountRow:
    for account in known:
        if account.state != "removed":
            return account
    last = known[-1]
    raise BadInputError(f"account '{last.account_id}' of user '{last.user_id}' was removed; add a new one with `omc accounts add`")


def set_state(connection: psycopg.Connection[Any], account_id: str, state: State, by: str) -> AccountRow:
    """Pause, resume or remove an account; its fills stay.

    Raises:
        BadInputError: There is no such account, or it was removed.
    """
    with connection.transaction():
        connection.execute(_LOCK)
        known = account_named(connection, account_id)
        if known.state == "removed":
            raise BadInputError(f"account '{account_id}' was removed; add a new one")
        if known.state != state:
            connection.execute(_STATE, [state, by, account_id])
        return account_named(connection, account_id)


def hold(connection: psycopg.Connection[Any], account_id: str, reason: str | None) -> None:
    """Hold the profit and loss of an account's user because of its rows; without a reason, release it."""
    connection.execute(_HOLD, {"account": account_id, "reason": reason})


def next_nonce(connection: psycopg.Connection[Any], account_id: str, now: datetime) -> int:
    """Return an integer greater than every earlier one of the account, across processes, even if the clock was set back.

    Args:
        connection: Of role writer; what is returned is committed, or, in a transaction of the caller's, will be.
        account_id: Whose key signs with it.
        now: The present; nonces are milliseconds since 1970 as long as the clock runs forward.

    Raises:
        BadInputError: There is no such account.
    """
    with connection.transaction():
        row = connection.execute(_NONCE, [int(now.timestamp() * 1000), account_id]).fetchone()
    if row is None:
        raise BadInputError(f"there is no account '{account_id}'; see `omc accounts list`")
    return int(row[0])
