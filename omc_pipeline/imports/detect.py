"""Which format a file has, told by its header; where it has none, which one is nearest and what of it is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from omc_infra.errors import BadInputError
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.text import SEPARATORS, header_cells, lines
from omc_pipeline.pnl.meanings import might_be
from omc_pipeline.pnl.titles import folded_titles, without_idle_end

OWN = "omc_trades"
"""The format of ``omc pnl compute`` itself, whose reader has its own words for what is missing."""
_LEADING_LINES = 40
"""Lines above a header that venues write at most: a title, whose account it is, a disclaimer."""
_FEWEST_COLUMNS = 2
_NEAR = 0.6
"""Share of a format's columns from which on a header is taken for one of that format, damaged."""


@dataclass(frozen=True)
class Header:
    """A header that was found: its format, its line (from 1), what separates its columns, its titles as written."""

    format: Format
    line: int
    separator: str
    titles: Sequence[str]


@dataclass(frozen=True)
class _Near:
    """A line beside a format: which of its columns are missing there."""

    format: Format
    line: int
    missing: Sequence[str]

    @property
    def share(self) -> float:
        return 1 - len(self.missing) / len(self.format.columns)

    def refusal(self) -> BadInputError:
        names = ", ".join(map(repr, self.missing))
        return BadInputError(
            f"line {self.line} (header): looks like {self.format.title} ({self.format.name}), but has no column {names};"
            " give its column the title back, or say what each column means with --map (omc import FILE --suggest writes a first one)"
        )


def found_header(text: str, formats: Iterable[Format]) -> Header | None:
    """Return the header of a table, or None where no line among the first is one of a known format.

    Of several formats whose columns are all there, the one with most columns counts.

    Raises:
        BadInputError: A line is nearly the header of a format; the message names what is missing.
    """
    tables = [one for one in formats if one.shape == "table"]
    nearest: _Near | None = None
    for number, line in enumerate(islice(lines(text), _LEADING_LINES), 1):
        for separator in SEPARATORS:
            titles = without_idle_end(header_cells(line.rstrip("\r\n"), separator))
            if len(titles) < _FEWEST_COLUMNS:
                continue
            seen = [_Near(one, number, one.missing(folded_titles(titles))) for one in tables]
            whole = [near.format for near in seen if not near.missing]
            if whole:
                return Header(max(whole, key=lambda one: len(one.columns)), number, separator, titles)
            nearest = max([*seen, *([nearest] if nearest else [])], key=lambda near: near.share, default=None)
    if nearest is not None and nearest.share >= _NEAR and nearest.format.name != OWN:
        raise nearest.refusal()
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
    plains = folded_titles(titles)
    left_out = set(folded_titles(ignored))
    unknown = [title for title, name in zip(titles, plains, strict=True) if name in set(one.unknown(plains)) - left_out]
    if unknown:
        names = ", ".join(f"{title!r}{_guess(title)}" for title in unknown)
        options = " ".join(f"--ignore '{title}'" for title in unknown)
        raise BadInputError(
            f"column {names}: not known in {one.title} ({one.name}), so it may bear on money;"
            f" if it doesn't, say {options}; if it does, describe the file with --map"
        )


def _guess(title: str) -> str:
    meaning = might_be(title)
    return f" (might be {meaning})" if meaning else ""
