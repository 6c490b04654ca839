"""Results as tables for a terminal; rounded for display only, the document keeps every digit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.table import Table
from rich.text import Text

_TEXT_COLUMNS = frozenset({"sell", "lot", "id", "symbol", "rule", "kind", "message", "fill", "currency", "coin", "period", "price_source"})


def tables(answer: Mapping[str, Any]) -> Iterator[Table]:
    """Answer the matches, open lots, exceptions and totals of an answer as tables; empty ones are left out."""
    rows = {
        "Matches": answer["matches"] or answer["realized"],
        "Open lots": answer["open_lots"],
        "Exceptions": answer["exceptions"],
        "Totals": [{"income": answer["income"], "total_realized": answer["total_realized"], **answer.get("mark", {})}],
    }
    yield from (table(title, found) for title, found in rows.items() if found)


def table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Answer one table; the columns are the fields of all rows, in order of appearance."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    drawn = Table(title=title, title_justify="left")
    for name in columns:
        drawn.add_column(name.replace("_", " "), justify="left" if name in _TEXT_COLUMNS else "right")
    for row in rows:
        drawn.add_row(*(_cell(name, row.get(name)) for name in columns))
    return drawn


def _cell(name: str, value: object) -> Text:
    if value is None:
        return Text("-")
    if name in _TEXT_COLUMNS or isinstance(value, bool):
        return Text(str(value))
    amount = Decimal(str(value))
    shown = f"{amount:,.8f}".rstrip("0").rstrip(".") if abs(amount) < 1 else f"{amount:,.2f}"
    return Text(shown, style="red" if amount < 0 and name in ("gain", "realized", "unrealized", "total_realized", "net", "gross") else "")
