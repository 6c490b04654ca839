"""Imports that were made, and one taken back: its fills leave the ledger, and what other files told too is read from them again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from omc_infra.errors import BadInputError
from omc_pipeline.assets.registry import Registry
from omc_pipeline.collection.erasing import profit_and_loss_of
from omc_pipeline.imports.mapping import read_mapping
from omc_pipeline.imports.reading import Asked, FileReading, read_content
from omc_pipeline.imports.storing import account_ids, fills_for, linked_rows, without_history
from omc_pipeline.imports.symbols import Names
from omc_pipeline.ledgers.exchange import FILL
from omc_pipeline.ledgers.knowledge import stamp
from omc_pipeline.ledgers.pairs import pair_fills
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.ledgers.write import append

_LIST = """
SELECT import_id, user_id, name, payload_sha256, format, source, accounts, options, rows, fills_new, fills_known, imported_at, imported_by,
    undone_at, undone_by, undone_reason
FROM exchange.import_file WHERE user_id = %s ORDER BY import_id
"""
_PAIRS = """
DELETE FROM exchange.fill_pair p USING exchange.fill f WHERE f.user_id = %(user)s AND f.source = %(source)s AND f.payload_sha256 = %(sha)s
    AND ((p.account_id, p.fill_id) = (f.account_id, f.fill_id) OR (p.duplicate_account_id, p.duplicate_fill_id) = (f.account_id, f.fill_id))
"""
_FILLS = "DELETE FROM exchange.fill WHERE user_id = %(user)s AND source = %(source)s AND payload_sha256 = %(sha)s"
_DOORS = """
DELETE FROM exchange.fill_door d WHERE d.user_id = %(user)s AND d.source = %(source)s AND NOT EXISTS (
    SELECT FROM exchange.fill f WHERE f.account_id = d.account_id AND f.source = d.source AND f.user_id = d.user_id)
"""
_UNDONE = "UPDATE exchange.import_file SET undone_at = clock_timestamp(), undone_by = %s, undone_reason = %s WHERE import_id = %s"
_AUDIT = "INSERT INTO exchange.erasure (what, subject, erased_by, rows) VALUES ('import', %s, %s, %s::jsonb)"


@dataclass(frozen=True)
class ImportedFile:
    """One import, as recorded."""

    import_id: int
    user_id: str
    name: str
    payload_sha256: str
    format: str
    source: str
    accounts: list[str]
    options: Mapping[str, Any]
    rows: int
    fills_new: int
    fills_known: int
    imported_at: datetime
    imported_by: str
    undone_at: datetime | None
    undone_by: str | None
    undone_reason: str | None


def imports(connection: psycopg.Connection[Any], user_id: str) -> list[ImportedFile]:
    """Return the imports of a user, oldest first, also those that were undone."""
    return [ImportedFile(*row) for row in connection.execute(_LIST, [user_id])]


def asked_of(options: Mapping[str, Any], registry: Registry) -> Asked:
    """Return what a person had said about a file when it was imported."""
    mapping = options.get("mapping")
    made = None if mapping is None else read_mapping(str(mapping).encode()).format
    return Asked(
        options.get("format"),
        options.get("zone"),
        options.get("mark"),
        options.get("ignored", ()),
        made,
        Names(registry, options.get("coins") or {}),
        options.get("quote") or "",
    )


def undo_import(
    connection: psycopg.Connection[Any], user_id: str, import_id: int, by: str, reason: str, registry: Registry
) -> Mapping[str, int]:
    """Take the fills of an import out of the ledger, in one transaction of role owner.

    Profit and loss of the user is computed anew by the next run. Fills that another import of theirs holds too are written again from it.

    Args:
        connection: Of role owner, outside a transaction.
        user_id: Whose.
        import_id: Which.
        by: Who decides.
        reason: Why.
        registry: By which the other files are read again.

    Returns:
        Erased rows by table, and under ``again`` the fills that other imports gave back.

    Raises:
        BadInputError: There is no such import of the user, or it was undone.
    """
    with connection.transaction():
        known = imports(connection, user_id)
        meant = next((one for one in known if one.import_id == import_id), None)
        if meant is None or meant.undone_at is not None:
            state = "was undone already" if meant else f"is not known of user '{user_id}'"
            raise BadInputError(f"import {import_id} {state}; see `omc import list`")
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"pnl.run {user_id}"])
        stamp(connection, FILL.qualified)
        bound = {"user": user_id, "source": meant.source, "sha": meant.payload_sha256}
        counts = {
            "exchange.fill_pair": connection.execute(_PAIRS, bound).rowcount,
            "exchange.fill": connection.execute(_FILLS, bound).rowcount,
        }
        connection.execute(_DOORS, bound)
        for table, condition in profit_and_loss_of(connection).items():
            counts[table] = connection.execute(
                f"DELETE FROM {table} WHERE {condition}", {"user": user_id, "accounts": meant.accounts}
            ).rowcount
        connection.execute(_UNDONE, [by, reason, import_id])
        counts = {table: count for table, count in counts.items() if count}
        connection.execute(_AUDIT, [f"import {import_id} of {user_id}", by, json.dumps(counts)])
    others = [one for one in known if one.import_id != import_id and one.undone_at is None and one.source == meant.source]
    again = _stated_again(connection, others, registry)
    return {**counts, "again": again}


def _stated_again(connection: psycopg.Connection[Any], others: list[ImportedFile], registry: Registry) -> int:
    """Write the fills of other imports once more: those that are known stay as they are."""
    count = 0
    for one in others:
        content = PostgresRawStore(connection).body(one.payload_sha256)
        reading = read_content(content, asked_of(one.options, registry))
        if reading is None:
            continue
        count += _appended(connection, without_history(reading), one)
    return count


def _appended(connection: psycopg.Connection[Any], reading: FileReading, one: ImportedFile) -> int:
    with connection.transaction():
        ids = account_ids(connection, one.user_id, reading, one.options.get("account"))
        rows, _ = linked_rows(connection, one.user_id, fills_for(reading, one.user_id, ids))
        done = append(connection, one.source, rows, one.payload_sha256).get(FILL.qualified) if rows else None
        for account in sorted({row.account_id for row in rows}):
            pair_fills(connection, one.user_id, account, None)
    return done.inserted if done else 0
