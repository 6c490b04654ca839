"""Erase the data of a user, or the fills of an account, in every schema; the audit has no content of the erased rows.

Tables with rows of a user are found in the database, not in a list: each with a column ``user_id``, each with a foreign
key to such a table, each of an account, and the checkpoints, whose thread starts with the user. So a table that is added later is
erased, too. Bodies of private answers are erased with their fetches and with the rows refused from them.

Not here: Dagster's partitions and runs of the accounts (``omc_pipeline.orchestration.accounts``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

import psycopg

from omc_infra.errors import BadInputError
from omc_pipeline.collection.accounts import AccountRow, account_named, accounts
from omc_pipeline.ledgers.exchange import FILL
from omc_pipeline.ledgers.knowledge import stamp

_COLUMNS = """
SELECT n.nspname || '.' || quote_ident(c.relname), array_agg(a.attname::text) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'dagster')
GROUP BY 1
"""
_KEYS = """
SELECT child.relnamespace::regnamespace || '.' || quote_ident(child.relname),
    parent.relnamespace::regnamespace || '.' || quote_ident(parent.relname),
    (SELECT array_agg(a.attname::text ORDER BY o) FROM unnest(k.conkey) WITH ORDINALITY u (n, o)
        JOIN pg_attribute a ON a.attrelid = child.oid AND a.attnum = n),
    (SELECT array_agg(a.attname::text ORDER BY o) FROM unnest(k.confkey) WITH ORDINALITY u (n, o)
        JOIN pg_attribute a ON a.attrelid = parent.oid AND a.attnum = n)
FROM pg_constraint k JOIN pg_class child ON child.oid = k.conrelid JOIN pg_class parent ON parent.oid = k.confrelid WHERE k.contype = 'f'
"""
_PRIVATE = "(context ->> 'user_id' = %(user)s AND (%(everything)s OR context ->> 'account_id' = ANY(%(accounts)s)))"
_BODIES = f"CREATE TEMPORARY TABLE erased_body ON COMMIT DROP AS SELECT DISTINCT source, payload_sha256 FROM raw.fetch WHERE {_PRIVATE}"
_REFUSED = "(source, payload_sha256) IN (SELECT source, payload_sha256 FROM pg_temp.erased_body)"
_UNSHARED = f"""
sha256 IN (SELECT payload_sha256 FROM pg_temp.erased_body)
AND NOT EXISTS (SELECT FROM raw.fetch WHERE payload_sha256 = sha256 AND {_PRIVATE} IS NOT TRUE)
"""
_OF_ACCOUNT = {
    "exchange.fill_pair": "account_id = ANY(%(accounts)s) OR duplicate_account_id = ANY(%(accounts)s)",
    **dict.fromkeys(("exchange.fill_alias", "exchange.fill_door", "exchange.fill", "exchange.balance"), "account_id = ANY(%(accounts)s)"),
}
_LOCKS = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_AUDIT = "INSERT INTO exchange.erasure (what, subject, erased_by, rows) VALUES (%s, %s, %s, %s::jsonb)"

Conditions = Mapping[str, str]
"""By table, children before parents, which of its rows are meant."""


def user_rows(connection: psycopg.Connection[Any], user_id: str) -> Mapping[str, int]:
    """Count what ``erase_user`` would erase, by table; tables without such rows are left out."""
    return _counted(connection, {**_raw(), **_of_user(connection)}, _bound(connection, user_id))


_LAKE = "UPDATE lake.export SET is_stale = true WHERE ledger = 'exchange' AND table_name IN ('fill', 'balance')"
"""Files of the lake that may hold erased rows; the next export writes them again."""


def account_rows(connection: psycopg.Connection[Any], account_id: str) -> Mapping[str, int]:
    """Count what ``erase_account`` would erase, by table; tables without such rows are left out."""
    account = account_named(connection, account_id)
    return _counted(connection, {**_raw(), **_of_account(connection)}, _bound(connection, account.user_id, account_id))


def erase_user(connection: psycopg.Connection[Any], user_id: str, by: str, *, audited: bool = True) -> Mapping[str, int]:
    """Erase a user and all their data, in one transaction of role owner.

    Waits for a running collection or computation of the user.

    Args:
        connection: Of role owner, outside a transaction; all of it is committed, or nothing.
        user_id: Whom.
        by: Who erases, for the audit.
        audited: False for an invented user, of whom nothing is left then.

    Returns:
        Erased rows by table.

    Raises:
        BadInputError: There is nothing of that user.
    """
    with connection.transaction():
        _wait_for_work(connection, user_id, accounts(connection, user_id=user_id))
        erased = _erased(connection, {**_raw(), **_of_user(connection)}, _bound(connection, user_id))
        if not erased:
            raise BadInputError(f"there is no data of user '{user_id}'")
        connection.execute(_LAKE)
        if audited:
            connection.execute(_AUDIT, ["user", user_id, by, json.dumps(erased)])
    return erased


def erase_account(connection: psycopg.Connection[Any], account_id: str, by: str) -> Mapping[str, int]:
    """Erase the fills and balances of an account, the bodies they came from, and the profit and loss of its user.

    The next run computes it again from the fills of the user's other accounts. The account's row stays.

    Raises:
        BadInputError: There is no such account.
    """
    with connection.transaction():
        account = account_named(connection, account_id)
        _wait_for_work(connection, account.user_id, [account])
        erased = _erased(connection, {**_raw(), **_of_account(connection)}, _bound(connection, account.user_id, account_id))
        connection.execute(_LAKE)
        connection.execute(_AUDIT, ["account", account_id, by, json.dumps(erased)])
    return erased


def _bound(connection: psycopg.Connection[Any], user_id: str, account_id: str | None = None) -> Mapping[str, Any]:
    every = accounts(connection, user_id=user_id, states=("active", "paused", "removed"))
    named = [row.account_id for row in every] if account_id is None else [account_id]
    return {"user": user_id, "accounts": named, "everything": account_id is None}


def _wait_for_work(connection: psycopg.Connection[Any], user_id: str, of: Sequence[AccountRow]) -> None:
    for account in sorted(of, key=lambda row: row.account_id):
        connection.execute(_LOCKS, [f"omc.collect {account.source} {user_id} {account.account_id}"])
    connection.execute(_LOCKS, [f"pnl.run {user_id}"])
    stamp(connection, FILL.qualified)


def _counted(connection: psycopg.Connection[Any], of: Conditions, bound: Mapping[str, Any]) -> Mapping[str, int]:
    with connection.transaction(force_rollback=True):
        return _erased(connection, of, bound)


def _erased(connection: psycopg.Connection[Any], of: Conditions, bound: Mapping[str, Any]) -> Mapping[str, int]:
    connection.execute("DROP TABLE IF EXISTS pg_temp.erased_body")
    connection.execute(_BODIES, bound)
    counts = {table: connection.execute(f"DELETE FROM {table} WHERE {condition}", bound).rowcount for table, condition in of.items()}
    return {table.replace('"', ""): count for table, count in sorted(counts.items()) if count}


def _raw() -> Conditions:
    return {"raw.quarantine": _REFUSED, "raw.fetch": _PRIVATE, "raw.payload": _UNSHARED}


def _of_user(connection: psycopg.Connection[Any]) -> Conditions:
    """Find the tables that hold rows of a user."""
    conditions = dict[str, str]()
    for table, columns in connection.execute(_COLUMNS).fetchall():
        if "user_id" in columns:
            conditions[table] = "user_id = %(user)s"
        elif {"thread_id", "checkpoint_ns"} <= set(columns):
            conditions[table] = "split_part(thread_id, ':', 1) = %(user)s"
        elif account := next((name for name in ("account_id", "account") if name in columns), None):
            conditions[table] = f"{account} = ANY(%(accounts)s)"
    return _with_children(connection, conditions)


def _of_account(connection: psycopg.Connection[Any]) -> Conditions:
    return {**_OF_ACCOUNT, **profit_and_loss_of(connection)}


def profit_and_loss_of(connection: psycopg.Connection[Any]) -> Conditions:
    """Return the conditions for a user's profit and loss rows, with parameters ``user`` and ``accounts``; the next run restores them."""
    return {table: condition for table, condition in _of_user(connection).items() if table.startswith("pnl.")}


def _with_children(connection: psycopg.Connection[Any], conditions: dict[str, str]) -> Conditions:
    """Add the tables with a foreign key to the chosen rows, and put children before parents."""
    keys = connection.execute(_KEYS).fetchall()
    while missing := [key for key in keys if key[1] in conditions and key[0] not in conditions]:
        child, parent, own, other = missing[0]
        conditions[child] = f"({', '.join(own)}) IN (SELECT {', '.join(other)} FROM {parent} WHERE {conditions[parent]})"
    before: dict[str, set[str]] = {table: set() for table in conditions}
    for child, parent, *_ in keys:
        if child in conditions and parent in conditions and child != parent:
            before[parent].add(child)
    return {table: conditions[table] for table in TopologicalSorter(before).static_order()}
