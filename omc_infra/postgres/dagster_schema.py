"""Hand Dagster's tables to the role that serves them; in older databases the writer made and owned them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

_SCHEMA = "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'dagster'"
_FOREIGN = """
SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, relname
FROM pg_class WHERE relnamespace = 'dagster'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
AND relowner = (SELECT oid FROM pg_roles WHERE rolname = %s)
AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype IN ('a', 'i') AND relkind = 'S')
ORDER BY relkind, relname
"""
_KINDS = ("TABLE", "SEQUENCE", "VIEW", "MATERIALIZED VIEW")


def hand_over_dagster(admin: psycopg.Connection[Any], owner: str, writer: str, dagster: str) -> int:
    """Make a role the owner of all of schema ``dagster`` that the writer owns; rows stay.

    Args:
        admin: The administrator, within a transaction.
        owner: Role that owns the schema itself.
        writer: Role that loses its rights there.
        dagster: Role that gets them.

    Returns:
        How many tables changed hands; 0 where there is no such schema yet, or nothing is left to do.
    """
    if admin.execute(_SCHEMA).fetchone() is None:
        return 0
    found = admin.execute(_FOREIGN, [writer]).fetchall()
    if not found:
        return 0
    names = {"owner": sql.Identifier(owner), "writer": sql.Identifier(writer), "dagster": sql.Identifier(dagster)}
    with _acting_for(admin, [owner, writer, dagster]):
        admin.execute(sql.SQL("SET LOCAL ROLE {owner}").format(**names))
        admin.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA dagster TO {dagster}").format(**names))
        admin.execute(sql.SQL("REVOKE ALL ON SCHEMA dagster FROM {writer}").format(**names))
        admin.execute("RESET ROLE")
        for kind, name in found:
            assert kind in _KINDS  # noqa: S101 named by our own query
            statement = sql.SQL("ALTER {} {} OWNER TO {dagster}").format(sql.SQL(kind), sql.Identifier("dagster", name), **names)
            admin.execute(statement)
    return len(found)


@contextmanager
def _acting_for(admin: psycopg.Connection[Any], roles: list[str]) -> Iterator[None]:
    """Let an administrator who is no superuser act for roles that it made; the membership ends with the block."""
    row = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if row and row[0]:
        yield
        return
    everyone = sql.SQL(", ").join(map(sql.Identifier, roles))
    admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(everyone))
    try:
        yield
    finally:
        if admin.info.transaction_status is not psycopg.pq.TransactionStatus.INERROR:
            admin.execute(sql.SQL("REVOKE {} FROM CURRENT_USER").format(everyone))
