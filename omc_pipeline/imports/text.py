"""Bytes into text and lines into cells: the encodings and separators that spreadsheets and venues write."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from itertools import islice

from omc_infra.errors import BadInputError

SEPARATORS = (",", ";", "\t", "|")
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SAMPLE_BYTES = 4096
_WIDEST_CELL = 100_000
_FIRST_LINES = 40


def text_of(content: bytes) -> tuple[str, str]:
    """Decode a file, and name its encoding.

    UTF-8 and UTF-16 with a byte order mark, UTF-16 that shows itself by its zero bytes, UTF-8; all else is Windows-1252, the
    encoding of older spreadsheets, as long as it holds no control characters.

    Raises:
        BadInputError: The file is binary.
    """
    mark, encoding = next(((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", _without_mark(content)))
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf-8" or mark:
            raise BadInputError(f"not text in {encoding.upper()}; save the file as CSV UTF-8") from None
        encoding = "cp1252"
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            raise BadInputError("neither UTF-8 nor Windows-1252; save the file as CSV UTF-8") from error
    if "\x00" in text or (encoding == "cp1252" and any(sign < " " and sign not in "\r\n\t" for sign in set(text))):
        raise BadInputError("not text but binary; export the file as CSV or JSON")
    return text, encoding


def _without_mark(content: bytes) -> str:
    sample = content[:_SAMPLE_BYTES]
    odd, even = sample[1::2].count(0), sample[::2].count(0)
    if odd * 4 > len(sample):
        return "utf-16-le"
    return "utf-16-be" if even * 4 > len(sample) else "utf-8"


def lines(text: str) -> Iterator[str]:
    """Return lines with their ends, one at a time; a text without line feeds has lines that end with carriage returns."""
    end = "\n" if "\n" in text else "\r"
    start = 0
    while (at := text.find(end, start)) >= 0:
        yield text[start : at + 1]
        start = at + 1
    if start < len(text):
        yield text[start:]


def cells(text: str, separator: str, after: int) -> Iterator[tuple[int, list[str]]]:
    """Return each row after so many lines with the number of its last line; blank rows are left out.

    Raises:
        BadInputError: Not CSV, such as a quote that is never closed.
    """
    reader = csv.reader(islice(lines(text), after, None), delimiter=separator, strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield after + reader.line_num, row
    except csv.Error as error:
        raise BadInputError(f"line {after + reader.line_num}: not CSV: {error}; is a quote left open?") from error


def header_cells(line: str, separator: str) -> Sequence[str]:
    """Return the cells of one line; none where it is no line of CSV by itself."""
    if len(line) > _WIDEST_CELL:
        return ()
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return ()


def widest_header(text: str) -> Sequence[str]:
    """Return the titles of the first line among the first that has most cells: the header of a table of an unknown format."""
    found: Sequence[str] = ()
    for line in islice(lines(text), _FIRST_LINES):
        for separator in SEPARATORS:
            titles = header_cells(line.rstrip("\r\n"), separator)
            if len(titles) > len(found):
                found = titles
    return [title.strip() for title in found]
