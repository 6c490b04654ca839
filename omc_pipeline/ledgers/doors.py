"""Which sources have fills of an account, and which of them may correct fills of another one.

A fill may come from the venue's API, an exported file or another tool. With the same id it is one fact: the first source
counts, until the account's own source gives other values. So a file with rounded numbers never replaces exact values of the API.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from omc_infra.errors import BadInputError

MAY_CORRECT = sql.SQL(
    """
    (latest.source IS NULL OR latest.source = %(source)s OR EXISTS (
        SELECT FROM exchange.account AS own WHERE own.account_id = incoming.account_id AND own.source = %(source)s))
    """
)
"""Condition on a row ``incoming`` that is staged, and its ``latest`` version."""
_FOREIGN = """
SELECT incoming.account_id, incoming.user_id, account.user_id FROM {incoming} AS incoming JOIN exchange.account USING (account_id)
WHERE incoming.user_id <> account.user_id LIMIT 1
"""
_STRANGERS = """
SELECT EXISTS (SELECT FROM exchange.fill_door door JOIN {incoming} AS incoming USING (account_id) WHERE door.user_id <> incoming.user_id)
"""
_TAKEN = """
SELECT incoming.account_id, incoming.user_id, known.user_id FROM {incoming} AS incoming JOIN exchange.fill known USING (account_id, fill_id)
WHERE incoming.user_id <> known.user_id LIMIT 1
"""
_NOTE = """
INSERT INTO exchange.fill_door (account_id, source, user_id)
SELECT DISTINCT account_id, %s, user_id FROM {incoming} ON CONFLICT DO NOTHING
"""


def note_door(connection: psycopg.Connection[Any], source: str, staging: sql.Identifier) -> None:
    """Record that a source has fills of the accounts of the staged rows; raises like ``require_owner``."""
    require_owner(connection, source, staging)
    connection.execute(sql.SQL(_NOTE).format(incoming=staging), [source], prepare=False)


def require_owner(connection: psycopg.Connection[Any], source: str, staging: sql.Identifier) -> None:
    """Check that the staged rows have the same users as their accounts and known fills.

    Raises:
        BadInputError: A row of an account names another user than the account's, or than the fill that is known by its id.
    """
    foreign = connection.execute(sql.SQL(_FOREIGN).format(incoming=staging), prepare=False).fetchone()
    strangers = connection.execute(sql.SQL(_STRANGERS).format(incoming=staging), prepare=False).fetchone()
    if foreign is None and strangers is not None and strangers[0]:
        foreign = connection.execute(sql.SQL(_TAKEN).format(incoming=staging), prepare=False).fetchone()
    if foreign is not None:
        account, details, owner = foreign
        raise BadInputError(f"{source}: a row of account '{account}' has user '{details}', but the account belongs to user '{owner}'")
