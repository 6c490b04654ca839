"""A file into fills: its text, its format, its rows; what was taken to be so and what a person must look at stands beside them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from omc_infra.errors import BadInputError
from omc_pipeline.imports.detect import OWN, found_header, found_objects, refuse_unknown
from omc_pipeline.imports.discovery import discover_formats, format_named
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.notes import Notes
from omc_pipeline.imports.numbers import Mark, decimal_mark, kept_digits
from omc_pipeline.imports.row import Row, Sheet
from omc_pipeline.imports.symbols import Names, with_symbols
from omc_pipeline.imports.text import cells, text_of
from omc_pipeline.pnl.amounts import product
from omc_pipeline.pnl.document import parse_json
from omc_pipeline.pnl.fill import Fill
from omc_pipeline.pnl.sequence import direction
from omc_pipeline.pnl.titles import folded_titles

MOST_BYTES = 512 * 1024 * 1024
_SAMPLE_BYTES = 256 * 1024
OWN_ID = "#"
"""What an id begins with that the file does not give."""
SQLITE = b"SQLite format 3\x00"


@dataclass(frozen=True)
class Asked:
    """What a person says about a file.

    Attributes:
        format: Its format; None: told by its header.
        zone: Zone of times that state none.
        mark: What separates decimals; None: told by the file.
        ignored: Titles of columns that don't matter.
        mapping: A format made from a mapping file.
        names: What names of coins mean.
        quote: Currency of prices where no column says it.
    """

    format: str | None = None
    zone: str | None = None
    mark: Mark | None = None
    ignored: Sequence[str] = ()
    mapping: Format | None = None
    names: Names = field(default_factory=Names)
    quote: str = ""


@dataclass(frozen=True)
class FileReading:
    """What a file holds.

    Attributes:
        format: Its format.
        fills: In the order of the file; those to which their venue gives no id have ``#`` and the number of their row.
        notes: What was found beside them.
        rows: How many rows there were.
        encoding: Of its text.
        zone: Where the zone of zone-less times came from; empty where every time states its own.
    """

    format: Format
    fills: Sequence[Fill]
    notes: Notes
    rows: int
    encoding: str = ""
    zone: str = ""
    kinds: Mapping[str, int] = field(default_factory=dict)


def read_content(content: bytes, asked: Asked, path: Path | None = None) -> FileReading | None:
    """Read a file, or return None where it is of no known format.

    Args:
        content: Its bytes.
        asked: What is known about it.
        path: Where it lies; a database is opened there.

    Raises:
        BadInputError: It can't be read; one line that names row and column.
    """
    formats = [asked.mapping] if asked.mapping else [format_named(asked.format)] if asked.format else list(discover_formats().values())
    notes = Notes()
    if content.startswith(SQLITE):
        return _read_database(path, formats, asked, notes)
    text, encoding = text_of(content)
    if not text.strip():
        raise BadInputError("the file is empty")
    if text.lstrip()[0] in "[{":
        found = found_objects(parse_json(text), formats)
        return None if found is None else _read_objects(*found, asked, notes, encoding)
    header = found_header(text, formats)
    if header is None:
        return None
    refuse_unknown(header.format, header.titles, asked.ignored)
    return _result(
        header.format,
        asked,
        notes,
        _table_rows(cells(text, header.separator, header.line), len(header.titles), notes),
        header.titles,
        encoding,
    )


def is_foreign(content: bytes) -> bool:
    """Say whether a file is of a known format other than that of ``omc pnl compute`` itself.

    Raises:
        BadInputError: It is nearly of one; the message names what is missing.
    """
    formats = list(discover_formats().values())
    if content.startswith(SQLITE):
        return True
    try:
        text, _ = text_of(_beginning(content))
    except BadInputError:
        return False
    if text.lstrip()[:1] in ("[", "{"):
        if not any(one.marker and one.marker in content for one in formats):
            return False
        try:
            text, _ = text_of(content)
            return found_objects(parse_json(text), [one for one in formats if one.name != OWN]) is not None
        except BadInputError:
            return False
    header = found_header(text, formats)
    return header is not None and header.format.name != OWN


def _beginning(content: bytes) -> bytes:
    """Return the first lines of a file, enough to find its header in."""
    if len(content) <= _SAMPLE_BYTES:
        return content
    end = content.rfind(b"\n", 0, _SAMPLE_BYTES) + 1
    return content[: end - end % 2 if end else _SAMPLE_BYTES]


def zone_named(name: str) -> tzinfo:
    """Return a zone by its name.

    Raises:
        BadInputError: There is none of that name.
    """
    try:
        return UTC if name.upper() == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadInputError(f"--file-zone: there is no zone {name!r}; such as UTC or Australia/Sydney") from error


def _read_objects(one: Format, objects: Sequence[Mapping[str, object]], asked: Asked, notes: Notes, encoding: str) -> FileReading:
    titles = list(dict.fromkeys(name for each in objects for name in each))
    missing = one.missing(folded_titles(titles))
    if missing and objects:
        raise BadInputError(f"looks like {one.title} ({one.name}), but has no field {', '.join(map(repr, missing))}")
    refuse_unknown(one, titles, asked.ignored)
    rows = ((number, f"row {number}", [_cell(each.get(title)) for title in titles]) for number, each in enumerate(objects, 1))
    return _result(one, asked, notes, rows, titles, encoding)


def _read_database(path: Path | None, formats: Sequence[Format], asked: Asked, notes: Notes) -> FileReading | None:
    databases = [one for one in formats if one.shape == "sqlite"]
    if path is None or not databases:
        return None
    one, errors = databases[0], []
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        cursor = connection.execute(one.query)
        titles = [column[0] for column in cursor.description]
        rows = ((number, f"row {number}", list(map(_cell, each))) for number, each in enumerate(cursor, 1))
        return _result(one, asked, notes, rows, titles, "")
    except sqlite3.Error as error:
        errors.append(str(error))
        raise BadInputError(f"not a database of {one.title}: {error}") from error
    finally:
        connection.close()


def _cell(value: object) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _table_rows(rows: Iterable[tuple[int, list[str]]], width: int, notes: Notes) -> Iterator[tuple[int, str, Sequence[str]]]:
    """Return the rows of a table; a line at its end that has one cell at most is no data (a total, a remark)."""
    waiting: list[tuple[int, list[str]]] = []
    number = 0
    for line, row in rows:
        filled = [cell for cell in row if cell.strip()]
        if len(filled) <= 1 and width > 2:
            waiting.append((line, row))
            continue
        if waiting:
            raise BadInputError(f"line {waiting[0][0]}: one cell amid rows of {width} columns")
        number += 1
        place = f"row {number} (line {line})"
        if len(row) < width or any(cell.strip() for cell in row[width:]):
            raise BadInputError(f"{place}: {len(row)} cells under {width} columns")
        yield number, place, row
    for _ in waiting:
        notes.skip("a line at the end that is no row")


def _result(
    one: Format, asked: Asked, notes: Notes, raw: Iterable[tuple[int, str, Sequence[str]]], titles: Sequence[str], encoding: str
) -> FileReading:
    held = list(raw)
    plains = folded_titles(titles)
    left_out = set(folded_titles(asked.ignored))
    places = {name: at for name, at in one.places(plains).items() if name in one.columns or plains[at] not in left_out}
    for name, meaning in one.absent.items():
        if name not in places:
            notes.assume(meaning)
    known = set(places.values())
    mark = asked.mark or decimal_mark(row[at] for _, _, row in held for at in known) or ("point" if one.shape != "table" else None)
    zone = asked.zone or one.zone
    sheet = Sheet(one.venue, titles, places, mark, zone_named(zone) if zone else None, one.order, notes, asked.quote.upper())
    read = _in_sequence(one, _ids_once(_kept(one.read((Row(sheet, *each) for each in held), notes), notes), notes))
    doubled = len(held) - len({tuple(cells) for _, _, cells in held}) if any(fill.id.startswith(OWN_ID) for fill in read) else 0
    if doubled:
        notes.assume(f"{doubled:,} rows are equal to an earlier one and have no id; each counts as a trade of its own")
    fills = with_symbols(read, one, asked.names, notes)
    source = "" if not notes.zoneless else f"{zone}, {'given' if asked.zone else 'as the format has it'}"
    if notes.rounded:
        notes.assume(f"{notes.rounded} quantities and fees with more than 18 decimals are rounded to 18, half even")
    return FileReading(one, fills, notes, len(held), encoding, source, Counter(fill.kind for fill in fills))


def _kept(fills: Iterable[Fill], notes: Notes) -> list[Fill]:
    """Round quantities and fees to the decimals that are kept; the money that they make was computed before."""
    kept = []
    for fill in fills:
        qty, is_qty_rounded = kept_digits(fill.qty)
        fee, is_fee_rounded = (fill.fee, False) if fill.fee is None else kept_digits(fill.fee)
        if is_qty_rounded or is_fee_rounded:
            notes.rounded += is_qty_rounded + is_fee_rounded
            fill = fill._replace(qty=qty, fee=fee, amount=_value_of(fill))  # noqa: PLW2901 the same fill, kept shorter
        kept.append(fill)
    return kept


def _ids_once(fills: list[Fill], notes: Notes) -> list[Fill]:
    """Leave out fills whose id the file has given already with the same facts; the same id with other facts is an exception."""
    known: dict[tuple[str, str, str, str], Fill] = {}
    kept = []
    repeated = 0
    for fill in fills:
        if fill.id.startswith(OWN_ID):
            kept.append(fill)
            continue
        facts = fill._replace(sequence=0)
        key = (fill.account, fill.symbol, fill.currency, fill.id)
        earlier = known.setdefault(key, facts)
        if earlier is facts:
            kept.append(fill)
        elif earlier == facts:
            repeated += 1
        else:
            notes.doubt(
                "given_twice",
                fill.symbol,
                f"row {fill.sequence}",
                f"has the id {fill.id!r} of an earlier row and says otherwise; both count",
            )
            kept.append(fill)
    if repeated:
        notes.assume(f"{repeated:,} rows are given twice, with the same id, and count once")
    return kept


def _value_of(fill: Fill) -> Decimal | None:
    return product(fill.qty, fill.price) if fill.amount is None and fill.price is not None else fill.amount


def _in_sequence(one: Format, fills: list[Fill]) -> list[Fill]:
    """Keep the numbers of rows as sequence where their order is that of time, counted backwards where the newest stands first.

    A format may guarantee the order also where times don't show it; else rows at one instant only tell nothing.
    """
    times = [fill.time for fill in fills]
    follows = direction([fill.sequence for fill in fills], times)
    if not follows:
        follows = (-1 if fills and times[0] > times[-1] else 1) if one.is_ordered else 0
    return fills if follows == 1 else [fill._replace(sequence=follows * fill.sequence) for fill in fills]
