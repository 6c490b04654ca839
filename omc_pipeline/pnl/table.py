"""Results as tables for a terminal; rounded for display only, the document keeps every digit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.table import Table
from rich.text import Text

from omc_infra.terminal import visible

_TEXT_COLUMNS = frozenset(
    {
        "sell",
        "lot",
        "id",
        "symbol",
        "rule",
        "kind",
        "message",
        "fill",
        "currency",
        "coin",
        "period",
        "year",
        "price_source",
        "bought_by",
        "sold_by",
        "account",
    }
    | {"disposed_at", "acquired_at", "acquired_on", "disposed_on", "discount_from", "treatment", "figure"}
)
_GAINS = frozenset({"gain", "realized", "unrealized", "total_realized", "net", "gross"})
_WIDE = frozenset({"currency", "from", "to", "price_source", "price_observed_at", "acquired_at", "disposed_at", "open_cost", "rule"})
"""Columns of a report that CSV, Parquet and JSON have, and a terminal has no room for."""


def tables(answer: Mapping[str, Any]) -> Iterator[Table]:
    """Return the matches, open lots, exceptions and totals of an answer as tables; empty ones are left out."""
    rows = {
        "Gains by coin and year": answer.get("by_year", ()),
        "Held": answer.get("held", ()),
        "Matches": answer["matches"] or answer["realized"],
        "Open lots": answer["open_lots"],
        "Exceptions": answer["exceptions"],
        "Totals": [{"income": answer["income"], "total_realized": answer["total_realized"], **answer.get("mark", {})}],
    }
    yield from (table(title, found) for title, found in rows.items() if found)


def report_tables(document: Mapping[str, Any]) -> Iterator[Table]:
    """Return a report as tables: rows, tax year, totals, metrics, exceptions; empty ones are left out."""
    bounds = " ".join(f"{word} {document[word]}" for word in ("from", "to") if document[word])
    title = f"{document['user']} · {document['profile']} · by {document['by']} · {document['method']} · {document['currency']} {bounds}"
    keep = {"disposed_at", "acquired_at"} if document["by"] == "match" else set()
    rows = [{name: value for name, value in row.items() if name not in _WIDE - keep} for row in document["rows"]]
    if rows:
        yield table(title.strip(), rows)
    year = document.get("tax")
    if year:
        words = ("year", "zone", "first_day", "last_day", "assumptions")
        sums = [{"figure": name.replace("_", " "), "value": value} for name, value in year.items() if name not in words]
        kind = f"Tax year of {year['zone']}" if "zone" in year else "Australian tax year"
        yield table(f"{kind} {year['year']}: {year['first_day']} to {year['last_day']}", sums)
        yield table("Assumptions", [{"message": line} for line in year["assumptions"]])
    for name in ("totals", "metrics"):
        yield table(name.capitalize(), [{"figure": figure.replace("_", " "), "value": shown} for figure, shown in document[name].items()])
    if document["exceptions"]:
        yield table("Exceptions", document["exceptions"])


def table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return one table; the columns are the fields of all rows, in order of appearance."""
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
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if name in _TEXT_COLUMNS or isinstance(value, int):
        return Text(visible(value))
    if isinstance(value, float):
        return Text(f"{value:,.4f}")
    amount = Decimal(str(value))
    shown = f"{amount:,.8f}".rstrip("0").rstrip(".") if abs(amount) < 1 else f"{amount:,.2f}"
    return Text(shown, style="red" if amount < 0 and name in _GAINS else "")
