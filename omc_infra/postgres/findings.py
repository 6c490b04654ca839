"""Find rights that a database's roles have, but should not have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import psycopg

from omc_infra.postgres.powers import open_families
from omc_infra.postgres.roles import LIMITED, ROLES, Role, role_name

if TYPE_CHECKING:
    from omc_infra.postgres.database import Database

_ATTRIBUTES = """
SELECT concat_ws(', ', CASE WHEN rolsuper THEN 'superuser' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
    CASE WHEN rolcreatedb THEN 'CREATEDB' END, CASE WHEN rolreplication THEN 'REPLICATION' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END)
FROM pg_roles WHERE rolname = %s
"""
_MEMBER_OF = """
SELECT string_agg(granted.rolname, ', ' ORDER BY granted.rolname) FROM pg_auth_members AS m
JOIN pg_roles AS granted ON granted.oid = m.roleid JOIN pg_roles AS member ON member.oid = m.member WHERE member.rolname = %s
"""
_TIMEOUT = """
SELECT split_part(setting, '=', 2) FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole, unnest(s.setconfig) AS setting
WHERE r.rolname = %s AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
AND split_part(setting, '=', 1) = 'statement_timeout' ORDER BY s.setdatabase DESC LIMIT 1
"""
_TEMPORARY = "SELECT has_database_privilege(%s, current_database(), 'TEMPORARY') OR has_schema_privilege(%s, 'public', 'CREATE')"


def role_findings(database: Database) -> list[str]:
    """Return one line for each power that a role has and shouldn't; empty where all is as it should be.

    Args:
        database: Read by any role that the process has.

    Raises:
        DatabaseUnavailableError: The server doesn't answer.
    """
    with database.connect(database.any_role()) as connection:
        return [f"role {role_name(database.name, role)} {finding}" for role in ROLES for finding in _of(connection, database, role)]


def _of(connection: psycopg.Connection[Any], database: Database, role: Role) -> Iterator[str]:
    name = role_name(database.name, role)
    attributes = _one(connection, _ATTRIBUTES, [name])
    if attributes is None:
        yield "does not exist; run `omc db migrate`"
        return
    if attributes:
        yield f"is {attributes}"
    if groups := _one(connection, _MEMBER_OF, [name]):
        yield f"is a member of {groups}"
    if role not in LIMITED:
        return
    if _one(connection, _TEMPORARY, [name, name]):
        yield "may make tables of its own"
    expected, found = f"{round(database.limits_s[role] * 1000)}ms", _one(connection, _TIMEOUT, [name])
    if found != expected:
        yield f"has statement_timeout {found or 'unset'} instead of {expected}; the next start of the platform sets it again"
    if families := open_families(connection, name):
        yield f"may call functions of {', '.join(families)}; only a superuser can withdraw them"


def _one(connection: psycopg.Connection[Any], query: str, bound: list[str]) -> Any:
    row = connection.execute(query, bound).fetchone()
    return row[0] if row else None
