"""Rows of a report as CSV text and as Parquet; every digit is kept, and the columns of a cut are the same with and without rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

Kind = Literal["text", "amount", "count", "instant"]
_TRADED: Mapping[str, Kind] = {
    "currency": "text",
    "fills": "count",
    "sells": "count",
    "bought": "amount",
    "proceeds": "amount",
    "cost": "amount",
    "gain": "amount",
    "expensed_fees": "amount",
    "realized": "amount",
}
_MATCH: Mapping[str, Kind] = {
    "symbol": "text",
    "currency": "text",
    "disposed_at": "instant",
    "sell": "text",
    "acquired_at": "instant",
    "lot": "text",
    "qty": "amount",
    "cost": "amount",
    "proceeds": "amount",
    "gain": "amount",
    "rule": "text",
}
COLUMNS: Mapping[str, Mapping[str, Kind]] = {
    "coin": {
        "symbol": "text",
        "currency": "text",
        "qty": "amount",
        "open_cost": "amount",
        "price": "amount",
        "price_source": "text",
        "price_observed_at": "instant",
        "value": "amount",
        "realized": "amount",
        "unrealized": "amount",
        "proceeds": "amount",
        "cost": "amount",
    },
    "period": {
        "period": "text",
        "from": "instant",
        "to": "instant",
        **_TRADED,
    },
    "account": {"account": "text", **_TRADED},
    "algorithm": {
        "bought_by": "text",
        "sold_by": "text",
        "currency": "text",
        "sells": "count",
        "proceeds": "amount",
        "cost": "amount",
        "gain": "amount",
    },
    "match": _MATCH,
    "tax_year": {
        **_MATCH,
        "acquired_on": "text",
        "disposed_on": "text",
        "discount_from": "text",
        "treatment": "text",
        "discount_before_losses": "amount",
    },
}
"""Columns by cut; amounts are in units of the coin or of the currency."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def as_csv(document: Mapping[str, Any]) -> str:
    """Write a report's rows as CSV with a header, amounts unrounded, empty where a value is not known.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    kinds = COLUMNS[document["by"]]
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(kinds)
    for row in document["rows"]:
        writer.writerow([_harmless(row[name]) if kind == "text" else row[name] for name, kind in kinds.items()])
    return sheet.getvalue()


def as_parquet(document: Mapping[str, Any]) -> bytes:
    """Write a report's rows as Parquet: amounts decimal128(38, 18), instants in UTC, and what they are of in the file's metadata."""
    from pyarrow import parquet

    sink = io.BytesIO()
    parquet.write_table(as_table(document), sink, compression="zstd")
    return sink.getvalue()


def as_table(document: Mapping[str, Any]) -> Any:
    """Return a report's rows as an Arrow table."""
    import pyarrow as pa

    types = {
        "text": pa.string(),
        "amount": pa.decimal128(38, 18),
        "count": pa.int64(),
        "instant": pa.timestamp("us", "UTC"),
    }
    kinds, rows = COLUMNS[document["by"]], document["rows"]
    columns = [pa.array(_values(rows, name, kind), types[kind]) for name, kind in kinds.items()]
    header = {
        name: str(document[name]) for name in ("user", "profile", "method", "fee_policy", "oversell_policy", "currency", "by", "from", "to")
    }
    return pa.table(columns, pa.schema([(name, types[kind]) for name, kind in kinds.items()], metadata=header))


def _values(rows: Sequence[Mapping[str, Any]], name: str, kind: Kind) -> list[Any]:
    found = [row[name] for row in rows]
    if kind == "amount":
        return [None if value is None else Decimal(value) for value in found]
    return [None if value is None else datetime.fromisoformat(value) for value in found] if kind == "instant" else found


def _harmless(text: str | None) -> str | None:
    return f"'{text}" if text and text.startswith(_FORMULA) else text
