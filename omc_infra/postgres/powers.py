"""Functions that reader and agent must not call, and what is still open to them.

Every login role may by default hold any advisory lock (and so stop the writers), store large objects, sleep and end statements of
its own kind. Only the owner of these functions, a superuser, can withdraw them; on a server where the administrator isn't one they
stay, and ``open_families`` names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

_NEEDED = {
    "advisory locks": "^pg_(try_)?advisory_",
    "sleep": "^pg_sleep",
    "cancel and terminate": "^pg_(cancel|terminate)_backend$",
}
_NEVER = {
    "large objects": "^lo_|^lo(read|write)$",
    "other servers": "^dblink|^postgres_fdw_",
    "queries as text": "^(query|cursor)_to_xml",
    "messages to replicas": "^pg_logical_emit_message$",
}
FAMILIES: Mapping[str, str] = {**_NEEDED, **_NEVER}
"""Patterns of the names of functions that reader and agent must not call; omc's own writers and Dagster use the first three."""
NEEDED, DANGEROUS = "|".join(_NEEDED.values()), "|".join(FAMILIES.values())

_FUNCTIONS = """
SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS name, n.nspname AS schema, p.proname,
    pg_get_function_identity_arguments(p.oid) AS arguments
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.proname ~ %(pattern)s AND p.prokind = 'f' AND n.nspname IN ('pg_catalog', 'public')
"""
_PUBLIC = f"""{_FUNCTIONS} AND EXISTS (
    SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS grants
    WHERE grants.grantee = 0 AND grants.privilege_type = 'EXECUTE')
AND pg_has_role(p.proowner, 'USAGE')
"""
_UNGRANTED = f"{_FUNCTIONS} AND NOT has_function_privilege(%(role)s, p.oid, 'EXECUTE') AND pg_has_role(p.proowner, 'USAGE')"
_OPEN = f"{_FUNCTIONS} AND has_function_privilege(%(role)s, p.oid, 'EXECUTE') LIMIT 1"


def restrict_functions(admin: psycopg.Connection[Any], workers: Sequence[str]) -> None:
    """Withdraw dangerous functions from everybody, and give those that are needed to the roles that do the work.

    Does nothing for functions that the administrator doesn't own.

    Args:
        admin: The administrator, within a transaction.
        workers: Plain names of the roles that need locks.
    """
    everyone = sql.SQL(", ").join(map(sql.Identifier, workers))
    for function in _signatures(admin, _PUBLIC, pattern=DANGEROUS):
        admin.execute(sql.SQL("REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC").format(function))
    needed = {
        function.as_string(None): function for role in workers for function in _signatures(admin, _UNGRANTED, pattern=NEEDED, role=role)
    }
    for function in needed.values():
        admin.execute(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(function, everyone))


def open_families(connection: psycopg.Connection[Any], role: str) -> list[str]:
    """Return the families of dangerous functions of which a role may call any."""
    return [family for family, pattern in FAMILIES.items() if connection.execute(_OPEN, {"pattern": pattern, "role": role}).fetchone()]


def _signatures(admin: psycopg.Connection[Any], query: str, **bound: str) -> list[sql.Composed]:
    found = admin.execute(query, bound).fetchall()
    return [sql.SQL("{}({})").format(sql.Identifier(schema, name), sql.SQL(arguments)) for _, schema, name, arguments in found]
