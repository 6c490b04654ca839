"""Rows as text for COPY: of each natural key the last one, every row with its digest.

The text of a value in the digest is also what PostgreSQL reads, so each value is written once.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

import psycopg
from psycopg import sql

from omc_pipeline.ledgers.table import NULL, SEPARATOR, LedgerTable, Row, canonical_texts

_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


@dataclass(frozen=True)
class Staged:
    """Rows of one table, ready to be copied.

    Attributes:
        rows: How many, each natural key once.
        text: In the text format of COPY: the fields in their order, and the digest.
        oldest: Least value of the table's clock.
        newest: Greatest value of the table's clock.
    """

    rows: int
    text: str
    oldest: datetime
    newest: datetime


def staged_rows(rows: Iterable[Row]) -> Mapping[LedgerTable, Staged]:
    """Write rows as text, by table in the order of their names; no connection is needed.

    Raises:
        psycopg.DataError: A text holds a NUL character, which PostgreSQL can't store.
    """
    of_table: dict[LedgerTable, list[Row]] = defaultdict(list)
    for row in rows:
        of_table[row.table].append(row)
    return {table: _staged(table, of_table[table]) for table in sorted(of_table, key=lambda table: table.qualified)}


def copy_staged(connection: psycopg.Connection[Any], table: LedgerTable, staged: Staged) -> None:
    """Copy rows into a temporary table of their own, which ends with the transaction."""
    name, fields = staging_table(table), sql.SQL(", ").join(map(sql.Identifier, table.fields))
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
    connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {}, row_sha256 FROM {} WITH NO DATA").format(
            sql.Identifier(_staging_name(table)), fields, sql.Identifier(table.ledger, table.name)
        )
    )
    with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY {} ({}, row_sha256) FROM STDIN").format(name, fields)) as copy:
        copy.write(staged.text)


def staging_table(table: LedgerTable) -> sql.Identifier:
    """Return the name of a table's temporary table."""
    return sql.Identifier("pg_temp", _staging_name(table))


def _staging_name(table: LedgerTable) -> str:
    return f"incoming_{table.ledger}_{table.name}"


def _staged(table: LedgerTable, rows: Iterable[Row]) -> Staged:
    natural_key, facts, clock = attrgetter(*table.key), attrgetter(*table.fields), attrgetter(table.clock)
    distinct = {natural_key(row): row for row in rows}
    times = [clock(row) for row in distinct.values()]
    text = "".join([_line(facts(row)) for row in distinct.values()])
    return Staged(len(distinct), text, min(times), max(times))


def _line(values: tuple[Any, ...]) -> str:
    """Write one row with its digest, which is that of ``row_digest``."""
    texts = canonical_texts(values)
    joined = SEPARATOR.join(texts)
    digest = hashlib.sha256(joined.encode()).hexdigest()
    if _SPECIAL.search(joined):
        texts = [_SPECIAL.sub(lambda found: _ESCAPES[found[0]], text) for text in texts]
    line = "\t".join(texts)
    if NULL in line:
        if line.count(NULL) != values.count(None):
            raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) characters")
        line = line.replace(NULL, "\\N")
    return f"{line}\t{digest}\n"
