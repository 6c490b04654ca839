"""What is true of every ledger table, asked of the real database."""

from __future__ import annotations

import dataclasses
import types
import typing
from datetime import date, datetime
from decimal import Decimal

import pytest

from omc_infra.postgres.database import Database
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.ledgers import catalyst, exchange, glass, human
from omc_pipeline.ledgers.table import BOOKKEEPING, LEDGERS, LedgerTable

TABLES = [table for ledger in (glass, human, catalyst, exchange) for table in ledger.TABLES]
SQL_TYPES = {str: "text", Decimal: "numeric", datetime: "timestamp with time zone", date: "date", int: "integer", bool: "boolean"}

every_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.qualified)


def _columns(database: Database, table: LedgerTable) -> dict[str, tuple[str, bool]]:
    with database.connect("reader") as connection:
        rows = connection.execute(
            "SELECT attname, format_type(atttypid, NULL), NOT attnotnull FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [table.qualified],
        ).fetchall()
    return {name: (kind, nullable) for name, kind, nullable in rows}


@every_table
def test_the_fields_of_a_row_type_are_the_columns_of_its_table(database: Database, table: LedgerTable) -> None:
    columns = _columns(database, table)

    assert set(columns) == {*table.fields, *BOOKKEEPING}
    for name, hint in typing.get_type_hints(table.row).items():
        if name == "table":
            continue
        kinds = [kind for kind in (typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)) if kind is not type(None)]
        may_be_none = type(None) in typing.get_args(hint)
        assert columns[name] == (SQL_TYPES[kinds[0]], may_be_none), f"{table.qualified}.{name}"


@every_table
def test_the_primary_key_is_what_names_a_fact_and_its_version(database: Database, table: LedgerTable) -> None:
    with database.connect("reader") as connection:
        rows = connection.execute(
            "SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)"
            " JOIN pg_attribute a ON a.attrelid = %(t)s::regclass AND a.attnum = k.attnum"
            " WHERE i.indrelid = %(t)s::regclass AND i.indisprimary ORDER BY k.place",
            {"t": table.qualified},
        ).fetchall()

    assert [name for (name,) in rows] == [*table.identity, "version"]


@every_table
def test_a_table_is_declared_whole(table: LedgerTable) -> None:
    assert table.row.table is table
    assert table.ledger in LEDGERS
    assert {*table.key, table.clock} <= set(table.fields)
    assert typing.get_type_hints(table.row)[table.clock] is datetime
    assert table.per_user == ("user_id" in table.fields)
    assert dataclasses.fields(table.row)
    assert table.row.__dataclass_params__.frozen


@every_table
def test_users_rows_are_secured_and_others_are_not(database: Database, table: LedgerTable) -> None:
    with database.connect("reader") as connection:
        row = connection.execute(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass", [table.qualified]
        ).fetchone()

    assert row == (table.per_user, table.per_user)


def test_every_table_is_fed_by_a_source() -> None:
    fed = {table.qualified for source in discover_sources().values() for table in source.tables}

    assert fed == {table.qualified for table in TABLES}
