"""Text into rows: a case file, a JSON list of trades, or CSV with the same columns; each row knows where it stands.

Numbers stay text: a float in between would undo the exactness of all that follows.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from omc_infra.errors import BadInputError

Format = Literal["json", "csv"]
REQUIRED = ("id", "time", "symbol", "side", "qty")
_SINGLE = frozenset(
    {
        "id",
        "time",
        "symbol",
        "side",
        "qty",
        "price",
        "kind",
        "cost",
        "proceeds",
        "gross",
        "fee",
        "quote",
        "currency",
        "sequence",
        "note",
        "status",
    }
)
_SEPARATORS = (";", "\t", ",")
_SEPARATOR_LINE = "sep="
"""First line by which a spreadsheet names its separator."""


@dataclass(frozen=True, slots=True)
class Row:
    """One trade as written; ``place`` is what an error message calls it."""

    place: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Document:
    """The rows of a file and what it says about all of them; only a case file says anything, and only there times may lack a zone.

    Rows may be walked more than once; those of CSV are made as they are walked, so a large file is never held twice.
    """

    rows: Iterable[Row]
    header: Mapping[str, object] = field(default_factory=dict)
    is_case: bool = False
    columns: Sequence[str] = ()
    """Of CSV; JSON has none that all rows share."""


def read_document(text: str, format: Format | None = None) -> Document:  # noqa: A002 the word of the field
    """Split a text into rows; without a format, a text that starts with a bracket is JSON.

    Raises:
        BadInputError: Empty, not of that format, no trades, or rows that are no objects.
    """
    if not text.strip():
        raise BadInputError("the file is empty; it must hold trades as JSON or CSV")
    is_json = format == "json" or (format is None and text.lstrip()[0] in "[{")
    document = _json_document(text) if is_json else _csv_document(text)
    if next(iter(document.rows), None) is None:
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


def price_table(text: str) -> dict[str, object]:
    """Read CSV of two columns, symbol and price, with or without a header; a symbol given twice is refused.

    Raises:
        BadInputError: Not CSV of two columns.
    """
    first, _, separator = _header(text)
    prices: dict[str, object] = {}
    try:
        rows = list(csv.reader(islice(_lines(text), first - 1, None), delimiter=separator, strict=True))
    except csv.Error as error:
        raise BadInputError(f"prices are not CSV: {error}") from error
    for number, row in enumerate(rows, first):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != 2:
            raise BadInputError(f"line {number}: prices are a JSON object of symbol to price, or CSV of two columns: symbol, price")
        symbol = row[0].strip()
        if symbol in prices:
            raise BadInputError(f"line {number}: the price of {symbol} is given twice")
        if not prices and row[1].strip().lower() in ("price", "px", "last", "close"):
            continue  # a header
        prices[symbol] = row[1]
    return prices


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
    for name, kind in (("mark", dict), ("quote", str)):
        if not isinstance(header.get(name), kind | None):
            raise BadInputError(
                f"field {name!r} of the case file: {str(header[name])[:40]!r} is not {'an object' if kind is dict else 'text'}"
            )
    if not isinstance(trades, list):
        raise BadInputError("neither a list of trades nor a case file: no list 'trades'")
    for number, trade in enumerate(trades, 1):
        if not isinstance(trade, dict):
            raise BadInputError(f"row {number}: {str(trade)[:40]!r} is not an object with fields")
    rows = [Row(f"row {number}", _with_fields(number, trade)) for number, trade in enumerate(trades, 1)]
    return Document(rows, {name: value for name, value in header.items() if name != "trades"}, isinstance(document, dict))


def _with_fields(number: int, trade: Mapping[str, object]) -> Mapping[str, object]:
    named = {_field(name): value for name, value in trade.items()}
    if len(named) < len(trade):
        doubled = next(name for name, count in Counter(map(_field, trade)).items() if count > 1)
        raise BadInputError(f"row {number}: field {doubled!r} is given twice")
    return named


@dataclass(frozen=True, slots=True)
class Table:
    """The rows under the header of a CSV text, made anew at each walk."""

    text: str
    separator: str
    names: Sequence[str]
    first: int

    def __iter__(self) -> Iterator[Row]:
        for number, line, cells in self.walk():
            yield self.row(number, line, cells)

    def row(self, number: int, line: int, cells: Sequence[str]) -> Row:
        """Return a row by its fields."""
        return Row(f"row {number} (line {line})", dict(zip(self.names, cells, strict=True)))

    def walk(self) -> Iterator[tuple[int, int, list[str]]]:
        """Return the number of each row, the line where it ends, and its cells, one for each name."""
        reader = csv.reader(islice(_lines(self.text), self.first, None), delimiter=self.separator, strict=True)
        try:
            yield from self._rows(reader)
        except csv.Error as error:
            raise BadInputError(f"not CSV: line {self.first + reader.line_num}: {error}; is a quote left open?") from error

    def _rows(self, reader: Iterator[list[str]]) -> Iterator[tuple[int, int, list[str]]]:
        number, width = 0, len(self.names)
        for cells in reader:
            if not "".join(cells).strip():
                continue
            number += 1
            line = self.first + reader.line_num  # type: ignore[attr-defined]  # csv's reader counts lines
            if len(cells) != width:
                if len(cells) < width or any(cell.strip() for cell in cells[width:]):
                    raise BadInputError(f"row {number} (line {line}): {len(cells)} cells under {width} columns")
                del cells[width:]
            yield number, line, cells


def _csv_document(text: str) -> Document:
    first, header, separator = _header(text)
    place = f"line {first} (header)"
    try:
        names = [_field(name) for name in next(csv.reader([header], delimiter=separator, strict=True))]
    except csv.Error as error:
        raise BadInputError(f"{place}: not CSV: {error}") from error
    while names and not names[-1]:
        names.pop()
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise BadInputError(f"{place}: no column {', '.join(map(repr, missing))}; a CSV of trades has {', '.join(REQUIRED)}, price, ...")
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise BadInputError(f"{place}: column {doubled[0]!r} is given twice")
    return Document(Table(text, separator, names, first), columns=names)


def _field(title: str) -> str:
    """Return a field's name: the one known that a title is without regard to case, blanks and underscores, else the title in lower case."""
    folded = title.strip().lower()
    bare = folded.replace(" ", "").replace("_", "")
    return {"feeccy": "fee_ccy", "sourcerow": "source_row"}.get(bare, bare if bare in _SINGLE else folded)


def _header(text: str) -> tuple[int, str, str]:
    """Return the header, its line, and what separates its columns: what a first line says, else what it has most of."""
    said = ""
    for number, line in enumerate(_lines(text), 1):
        stripped = line.strip()
        if stripped.lower().startswith(_SEPARATOR_LINE) and len(stripped) == len(_SEPARATOR_LINE) + 1:
            said = stripped[-1]
        elif stripped:
            separator = said or max(_SEPARATORS, key=stripped.count)
            return number, line.rstrip("\r\n"), separator
    raise BadInputError("the file holds no trades")


def _lines(text: str) -> Iterator[str]:
    """Return lines with their ends, one at a time; a text without line feeds has lines that end with carriage returns."""
    end = "\n" if "\n" in text else "\r"
    start = 0
    while (at := text.find(end, start)) >= 0:
        yield text[start : at + 1]
        start = at + 1
    if start < len(text):
        yield text[start:]
