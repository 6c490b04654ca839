"""Rename stored symbols in all ledgers, and in profit and loss, in one transaction: all or nothing, and a second time changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any

import psycopg

from omc_pipeline.assets.asset import Asset
from omc_pipeline.assets.registry import Registry
from omc_pipeline.ledgers.renamed_fills import rename_fills
from omc_pipeline.ledgers.renaming import Named, Renaming, plan, rename, row_digest_of
from omc_pipeline.ledgers.table import LedgerTable

FILLS = "exchange.fill"
_SYMBOLS, _LISTS = ("symbol", "currency", "fee_currency"), ("symbols",)
_LEFT_OUT = frozenset({"glass.smart_money_flow", "glass.coin_price", "glass.fx_rate"})
"""Where ``PLACE:TICKER`` names a contract or id that only calls itself so, or where there is only money."""


def named_tables(tables: Iterable[LedgerTable]) -> list[Named]:
    """Return the ledger tables in which a symbol may stand that a user has yet to map."""
    found = []
    for table in tables:
        columns, lists = (tuple(name for name in names if name in table.fields) for names in (_SYMBOLS, _LISTS))
        if (columns or lists) and table.qualified not in _LEFT_OUT:
            found.append(Named(table.qualified, columns, lists, table.clock, table.identity, table.fields))
    return found


def turning_points(registry: Registry) -> list[datetime]:
    """Return the times at which a ticker changed hands, in order."""
    days = {day for asset in registry.assets for alias in asset.aliases for day in (alias.since, alias.until) if day is not None}
    return [datetime.combine(day, time(), UTC) for day in sorted(days)]


def mapped_name(registry: Registry) -> Callable[[str, str, datetime], tuple[str, str] | None]:
    """Return what a stored ``VENUE:TICKER`` becomes now that the registry knows it; every other symbol stays."""

    def named(_source: str, symbol: str, at: datetime) -> tuple[str, str] | None:
        venue, colon, ticker = symbol.partition(":")
        found = registry.resolve(ticker, venue.lower(), at) if colon else None
        return (found.symbol, symbol) if isinstance(found, Asset) else None

    return named


def planned(
    connection: psycopg.Connection[Any], tables: Sequence[Named], registry: Registry, new_name: Callable[[str, str, datetime], Any]
) -> Mapping[str, Sequence[Renaming]]:
    """Return by table what would be renamed; tables where nothing would be are left out."""
    points = turning_points(registry)
    found = {each.table: plan(connection, each, points, new_name) for each in tables}
    for each in tables:
        found[each.table] += _plan_lists(connection, each, new_name)
    return {table: renamings for table, renamings in found.items() if renamings}


def rename_all(
    connection: psycopg.Connection[Any], tables: Sequence[Named], planned_of: Mapping[str, Sequence[Renaming]]
) -> dict[str, int]:
    """Rename within the caller's transaction of role owner, and return how many rows changed by table."""
    connection.execute("SET LOCAL TIME ZONE 'UTC'")
    counts: dict[str, int] = {}
    for each in sorted(tables, key=lambda one: one.table):
        renamings = planned_of.get(each.table, ())
        if not renamings:
            continue
        connection.execute(f"LOCK TABLE {each.table} IN SHARE ROW EXCLUSIVE MODE".encode())
        if each.table == FILLS:
            counts |= rename_fills(connection, each, renamings)
            continue
        counts[each.table] = rename(connection, each, [one for one in renamings if one.column in each.columns])
        counts[each.table] += sum(_rename_list(connection, each, one) for one in renamings if one.column in each.lists)
    return {table: count for table, count in counts.items() if count}


def _plan_lists(connection: psycopg.Connection[Any], named: Named, new_name: Callable[[str, str, datetime], Any]) -> list[Renaming]:
    """Plan for columns of several symbols: each distinct list by its first time, for the meaning of what is listed hardly moves."""
    found = []
    for whole in plan(connection, named, (), lambda _source, symbols, _at: (f"{symbols} ", symbols), named.lists) if named.lists else ():
        names = [(new_name(whole.source, symbol, whole.since) or (symbol,))[0] for symbol in whole.old.split(",")]
        new = ",".join(sorted(set(names)))
        if new != whole.old:
            found.append(whole._replace(new=new))
    return found


def _rename_list(connection: psycopg.Connection[Any], named: Named, one: Renaming) -> int:
    digest = row_digest_of(connection, named, {one.column: "%(new)s::text"})
    statement = f"""UPDATE {named.table} t SET {one.column} = %(new)s, row_sha256 = {digest}
        WHERE t.source = %(source)s AND t.{one.column} = %(old)s"""
    return connection.execute(statement.encode(), one._asdict()).rowcount
