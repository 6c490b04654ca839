"""What a database holds, table by table: the number of rows, and a sum over them that no order changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

Digest = tuple[int, str]
"""Rows, and the sum of their hashes as a decimal number."""

_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY 1, 2
"""
_AS_TEXT = """
SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL extra_float_digits = 3;
SET LOCAL bytea_output = 'hex'; SET LOCAL search_path = pg_catalog; SET LOCAL row_security = off
"""
"""A row's text is the same on every server only under the same settings."""


def digests(connection: psycopg.Connection[Any]) -> Mapping[str, Digest]:
    """Return the digest of each table by ``schema.table``, as the connection's transaction sees it.

    Args:
        connection: Of the administrator, in a transaction; row-level security must not hide rows from it.
    """
    connection.execute(_AS_TEXT)
    return {f"{schema}.{table}": _digest(connection, schema, table) for schema, table in connection.execute(_TABLES).fetchall()}


def _digest(connection: psycopg.Connection[Any], schema: str, table: str) -> Digest:
    query = sql.SQL("SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {} t")
    row = connection.execute(query.format(sql.Identifier(schema, table))).fetchone()
    return (int(row[0]), str(row[1])) if row else (0, "0")
