"""Which format a file has, told by its header; where it has none, which one is nearest and what of it is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from omc_infra.errors import BadInputError
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.text import SEPARATORS, header_cells, lines
from omc_pipeline.imports.titles import plain_titles, without_idle_end

OWN = "omc_trades"
"""The format of ``omc pnl compute`` itself, whose reader has its own words for what is missing."""
_LEADING_LINES = 40
"""Lines above a header that venues write at most: a title, whose account it is, a disclaimer."""
_NEAR = 0.6
"""Share of a format's columns from which on a header is taken for one of that format, damaged."""


@dataclass(frozen=True)
class Header:
    """A header that was found: its format, its line (from 1), what separates its columns, its titles as written."""

    format: Format
    line: int
    separator: str
    titles: Sequence[str]


def found_header(text: str, formats: Iterable[Format]) -> Header | None:
    """Return the header of a table, or None where no line among the first is one of a known format.

    Of several formats whose columns are all there, the one with most columns counts.

    Raises:
        BadInputError: A line is nearly the header of a format; the message names what is missing.
    """
    tables = [one for one in formats if one.shape == "table"]
    near: list[tuple[float, int, Format, list[str]]] = []
    for number, line in enumerate(lines(text), 1):
        if number > _LEADING_LINES:
            break
        best: Header | None = None
        for separator in SEPARATORS:
            titles = without_idle_end(header_cells(line.rstrip("\r\n"), separator))
            if len(titles) < 2:
                continue
            plains = plain_titles(titles)
            for one in tables:
                missing = one.missing(plains)
                if not missing and (best is None or len(one.columns) > len(best.format.columns)):
                    best = Header(one, number, separator, titles)
                elif missing:
                    near.append((1 - len(missing) / len(one.columns), number, one, missing))
        if best is not None:
            return best
    if near:
        share, number, one, missing = max(near, key=lambda each: each[0])
        if share >= _NEAR and one.name != OWN:
            names = ", ".join(map(repr, missing))
            raise BadInputError(
                f"line {number} (header): looks like {one.title} ({one.name}), but has no column {names};"
                " give its column the title back, or say what each column means with --map (--suggest writes a first one)"
            )
    return None


def found_objects(document: object, formats: Iterable[Format]) -> tuple[Format, Sequence[Mapping[str, object]]] | None:
    """Return the format of a JSON document and its rows, or None."""
    for one in formats:
        if one.objects is not None:
            rows = one.objects(document)
            if rows is not None:
                return one, rows
    return None


def refuse_unknown(one: Format, titles: Sequence[str], ignored: Iterable[str]) -> None:
    """Refuse columns that a format doesn't know, unless a person said that they don't matter.

    Raises:
        BadInputError: Names each of them.
    """
    plains = plain_titles(titles)
    left_out = set(plain_titles(ignored))
    unknown = [title for title, name in zip(titles, plains, strict=True) if name in set(one.unknown(plains)) - left_out]
    if unknown:
        names = ", ".join(map(repr, unknown))
        options = " ".join(f"--ignore '{title}'" for title in unknown)
        raise BadInputError(
            f"column {names}: not known in {one.title} ({one.name}), so it may bear on money;"
            f" if it doesn't, say {options}; if it does, describe the file with --map"
        )
