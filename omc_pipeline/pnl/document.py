"""Text into rows: a case file, a JSON list of trades, or CSV with the same columns; each row knows where it stands.

Numbers stay text: a float in between would undo the exactness of all that follows.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from omc_infra.errors import BadInputError

Format = Literal["json", "csv"]
REQUIRED = ("id", "time", "symbol", "side", "qty")


@dataclass(frozen=True, slots=True)
class Row:
    """One trade as written; ``place`` is what an error message calls it."""

    place: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Document:
    """The rows of a file and what it says about all of them; only a case file says anything, and only there times may lack a zone."""

    rows: Sequence[Row]
    header: Mapping[str, object] = field(default_factory=dict)
    is_case: bool = False


def read_document(text: str, format: Format | None = None) -> Document:  # noqa: A002 the word of the field
    """Split a text into rows; without a format, a text that starts with a bracket is JSON.

    Raises:
        BadInputError: Empty, not of that format, no trades, or rows that are no objects.
    """
    if not text.strip():
        raise BadInputError("the file is empty; it must hold trades as JSON or CSV")
    if "\x00" in text:
        raise BadInputError("the file is binary; it must hold trades as JSON or CSV text")
    is_json = format == "json" or (format is None and text.lstrip()[0] in "[{")
    document = _json_document(text) if is_json else _csv_document(text)
    if not document.rows:
        raise BadInputError("the file holds no trades")
    return document


def parse_json(text: str) -> object:
    """Read JSON with every number as its text; a key given twice is refused.

    Raises:
        BadInputError: Not JSON.
    """
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        raise BadInputError(f"not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise BadInputError("not a list of trades: JSON nested too deep") from error


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise BadInputError(f"field {name!r} is given twice in {json.dumps(found)[:120]}")
    return found


def _json_document(text: str) -> Document:
    document = parse_json(text)
    header: Mapping[str, object] = document if isinstance(document, dict) else {}
    trades = header.get("trades") if isinstance(document, dict) else document
    if not isinstance(trades, list):
        raise BadInputError("neither a list of trades nor a case file: no list 'trades'")
    for number, trade in enumerate(trades, 1):
        if not isinstance(trade, dict):
            raise BadInputError(f"row {number}: {str(trade)[:40]!r} is not an object with fields")
    rows = [Row(f"row {number}", trade) for number, trade in enumerate(trades, 1)]
    return Document(rows, {name: value for name, value in header.items() if name != "trades"}, isinstance(document, dict))


def _csv_document(text: str) -> Document:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return Document(list(_csv_rows(reader)))
    except csv.Error as error:
        raise BadInputError(f"not CSV: line {reader.line_num}: {error}") from error


def _csv_rows(reader: Iterator[list[str]]) -> Iterator[Row]:
    names = [name.strip().lower() for name in next(reader)]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise BadInputError(
            f"line 1 (header): no column {', '.join(map(repr, missing))}; a CSV of trades has {', '.join(REQUIRED)}, price, ..."
        )
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise BadInputError(f"line 1 (header): column {doubled[0]!r} is given twice")
    number = 0
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        number += 1
        place = f"row {number} (line {reader.line_num})"  # type: ignore[attr-defined]  # csv's reader counts lines
        if len(cells) != len(names):
            raise BadInputError(f"{place}: {len(cells)} cells under {len(names)} columns")
        yield Row(place, dict(zip(names, cells, strict=True)))
