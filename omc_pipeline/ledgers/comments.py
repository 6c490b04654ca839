"""Comments of this package's tables in the database: for ledger tables from their row types, for others from a file."""

from __future__ import annotations

from pathlib import Path

from omc_infra.postgres.comments import Comments, read_comments
from omc_pipeline.ledgers import catalyst, exchange, glass, human
from omc_pipeline.ledgers.candle import CANDLE
from omc_pipeline.ledgers.descriptions import field_descriptions, table_description
from omc_pipeline.ledgers.table import BOOKKEEPING_DESCRIPTIONS, LedgerTable

LEDGER_TABLES = tuple(table for ledger in (glass, human, catalyst, exchange) for table in ledger.TABLES)


def own_comments() -> Comments:
    """Return the comments of all tables of this package."""
    others = read_comments(Path(__file__).with_name("comments.toml"))
    named = dict(others.named)
    for table in (*LEDGER_TABLES, CANDLE):
        named |= _of_ledger_table(table)
        if table.latest is not None:
            named |= {name.replace(table.qualified, table.latest): text for name, text in _of_ledger_table(table).items()}
            named[table.latest] = f"Newest row of each series of `{table.qualified}`, kept by triggers: {named[table.qualified]}"
    return Comments(named, others.shared)


def _of_ledger_table(table: LedgerTable) -> dict[str, str]:
    fields = {f"{table.qualified}.{name}": _with_unit(each.text, each.unit) for name, each in field_descriptions(table.row).items()}
    bookkeeping = {f"{table.qualified}.{name}": text for name, text in BOOKKEEPING_DESCRIPTIONS.items()}
    return {table.qualified: table_description(table.row), **fields, **bookkeeping}


def _with_unit(text: str, unit: str) -> str:
    return f"{text} Unit: {unit}." if unit else text
