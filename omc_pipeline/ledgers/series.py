"""The series of a ledger table as SQL: which there are, found in a few steps of an index however long their history is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from omc_pipeline.ledgers.table import BOOKKEEPING, LedgerTable


def series_columns(table: LedgerTable) -> tuple[str, ...]:
    """Return the columns that name a series: the source, and the natural key without its clock."""
    return ("source", *table.key[:-1])


def series_from(table: LedgerTable, equals: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Return a FROM clause with one row a series, and by column the expression that holds its value there.

    A column whose values are given is joined to them; only the other columns are searched, in runs of neighbours, each below the
    values before it. So the price of one symbol costs the same among five and among five hundred. A given value that the table
    doesn't hold gives a row too: the caller finds nothing under it.

    Args:
        table: Whose series; its primary key begins with ``series_columns``.
        equals: Value or list of values by column; bound by the caller as ``:eq_<column>``.
    """
    parts: list[str] = []
    known: dict[str, str] = {}
    for is_given, run in groupby(series_columns(table), key=lambda column: _is_given(equals.get(column))):
        columns = tuple(run)
        for group in [(column,) for column in columns] if is_given else [columns]:
            name = f"s{len(parts)}"
            found = _given_values(group[0], equals[group[0]]) if is_given else _searched(table, group, known)
            parts.append(f"LATERAL ({found}) AS {name}")
            known |= {column: f"{name}.{column}" for column in group}
    return ", ".join(parts), known


def kept_latest(table: LedgerTable, kept: str, conditions: Sequence[str], *, known_at: bool) -> str:
    """Return a SELECT of the newest fact of each series, from the table that holds these.

    Args:
        table: Whose facts; its monthly partitions are searched from the newest one back, without a step into those before.
        kept: The table of newest rows, named ``newest`` in the conditions.
        conditions: On the columns of the series.
        known_at: Only what was recorded by ``:as_of`` counts. Where the newest row of a series was recorded later, the newest that was not
            is searched.
    """
    series, columns = series_columns(table), (*table.fields, *BOOKKEEPING)
    wanted, order = " AND ".join(conditions) or "true", ", ".join(f"newest.{column}" for column in series)
    of_kept = ", ".join(f"newest.{column}" for column in columns)
    if not known_at:
        return f"SELECT {of_kept} FROM {kept} AS newest WHERE {wanted} ORDER BY {order}"
    same = " AND ".join(f"fact.{column} = newest.{column}" for column in series)
    return f"""
        SELECT known.* FROM {kept} AS newest, LATERAL (
            SELECT {of_kept} WHERE newest.recorded_at <= :as_of
            UNION ALL (
                SELECT {", ".join(f"fact.{column}" for column in columns)} FROM {table.qualified} AS fact
                WHERE newest.recorded_at > :as_of AND {same} AND fact.{table.clock} <= newest.{table.clock} AND fact.recorded_at <= :as_of
                ORDER BY fact.{table.clock} DESC, fact.version DESC LIMIT 1
            )
        ) AS known WHERE {wanted} ORDER BY {order}"""


def _is_given(value: Any) -> bool:
    return all(isinstance(each, str) for each in value) if isinstance(value, (list, tuple)) else isinstance(value, str)


def _given_values(column: str, value: Any) -> str:
    if isinstance(value, str):
        return f"SELECT CAST(:eq_{column} AS text) AS {column}"
    return f"SELECT DISTINCT {column} FROM unnest(CAST(:eq_{column} AS text[])) AS given({column})"


def _searched(table: LedgerTable, columns: tuple[str, ...], known: Mapping[str, str]) -> str:
    """Compose a search that jumps from each combination of values to the next: one index entry each."""
    names = ", ".join(columns)
    below = [f"n.{column} = {expression}" for column, expression in known.items()]
    after = f"({', '.join(f'n.{column}' for column in columns)}) > ({', '.join(f'step.{column}' for column in columns)})"
    first = f"WHERE {' AND '.join(below)} " if below else ""
    return f"""WITH RECURSIVE step AS (
            (SELECT {names} FROM {table.qualified} AS n {first}ORDER BY {names} LIMIT 1)
            UNION ALL
            SELECT following.* FROM step, LATERAL (
                SELECT {names} FROM {table.qualified} AS n WHERE {" AND ".join([*below, after])} ORDER BY {names} LIMIT 1
            ) AS following
        ) SELECT {names} FROM step"""
