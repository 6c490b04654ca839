"""The data dictionary: every table and column with meaning, unit, clock, nullability and key."""

from __future__ import annotations

from collections.abc import Sequence

from generator.database import ColumnFacts, TableFacts
from generator.page import code, codes, table
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.ledgers.comments import LEDGER_TABLES
from omc_pipeline.ledgers.descriptions import field_descriptions
from omc_pipeline.ledgers.table import BOOKKEEPING_DESCRIPTIONS, LEDGERS, LedgerTable

COLUMN_HEAD = ("column", "type", "NULL", "unit", "meaning")
OTHER_HEAD = ("column", "type", "NULL", "meaning")
SCHEMAS = {
    "raw": "What came from upstreams, as it came.",
    "catalyst": "Beside the ledger table.",
    "exchange": "Beside the ledger tables: users, accounts, and fills that came twice.",
    "collection": "How the collection goes.",
    "quality": "Scores, checks and alerts.",
    "pnl": "Profit and loss. Coins are counted in coins, amounts in the currency of the position.",
    "agents": "Sessions, what they read and asked, and the briefs.",
    "omc": "What the platform knows about itself.",
}


def block(tables: Sequence[TableFacts]) -> str:
    """Return the ledgers first, then the other schemas."""
    by_name = {each.qualified: each for each in tables}
    parts = [_index(tables), "## Bookkeeping columns", _bookkeeping()]
    for ledger in LEDGERS:
        parts.append(f"## Ledger {ledger}")
        parts += [_ledger_table(each, by_name[each.qualified]) for each in LEDGER_TABLES if each.ledger == ledger]
    of_ledgers = {each.qualified for each in LEDGER_TABLES}
    for schema in [*SCHEMAS, *sorted({each.schema for each in tables} - SCHEMAS.keys())]:
        others = [each for each in tables if each.schema == schema and each.qualified not in of_ledgers]
        if others:
            parts += [f"## Schema {schema}", SCHEMAS.get(schema, ""), *map(_other_table, others)]
    return "\n\n".join(part for part in parts if part)


def _index(tables: Sequence[TableFacts]) -> str:
    return table(("table", "one row is"), [(f"[`{each.qualified}`](#{each.schema}{each.name})", each.comment) for each in tables])


def _bookkeeping() -> str:
    rows = [(code(name), text) for name, text in BOOKKEEPING_DESCRIPTIONS.items()]
    return f"Every ledger table has them beside its own columns.\n\n{table(('column', 'meaning'), rows)}"


def _ledger_table(ledger_table: LedgerTable, facts: TableFacts) -> str:
    described = field_descriptions(ledger_table.row)
    sources = [name for name, source in sorted(discover_sources().items()) if ledger_table in source.tables]
    about = [
        f"- **Natural key**: {codes(['source', *ledger_table.key])}, and {code('version')}.",
        f"- **Clock**: {code(ledger_table.clock)} is the source's time, {code('recorded_at')} is ours.",
        f"- **Written by**: {codes(sources)}.",
    ]
    if ledger_table.per_user:
        about.append("- **Of users**: the role `agent` sees the rows of its own user only.")
    columns = {column.name: column for column in facts.columns}
    rows = [
        (code(name), columns[name].type, _null(columns[name]), _unit(name, ledger_table, described[name].unit), described[name].text)
        for name in ledger_table.fields
    ]
    return "\n\n".join([f"### {facts.qualified}", facts.comment, "\n".join(about), table(COLUMN_HEAD, rows)])


def _unit(name: str, ledger_table: LedgerTable, unit: str) -> str:
    return "UTC, the source's clock" if name == ledger_table.clock else unit


def _other_table(facts: TableFacts) -> str:
    rows = [(code(column.name), column.type, _null(column), column.comment) for column in facts.columns]
    key = f"Primary key: {codes(facts.key)}." if facts.key else ""
    secured = "The role `agent` sees the rows of its own user only." if facts.is_secured else ""
    if facts.is_view:  # PostgreSQL knows no NOT NULL of a view's columns
        return "\n\n".join(
            [f"### {facts.qualified}", facts.comment, table(("column", "type", "meaning"), [(a, b, d) for a, b, _, d in rows])]
        )
    return "\n\n".join([f"### {facts.qualified}", " ".join(filter(None, [facts.comment, key, secured])), table(OTHER_HEAD, rows)])


def _null(column: ColumnFacts) -> str:
    return "yes" if column.is_nullable else "no"
