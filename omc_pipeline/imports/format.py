"""The contract of a format: which columns a file has, what they mean, and how its rows become fills."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from omc_pipeline.pnl.fill import Fill
from omc_pipeline.pnl.titles import folded

if TYPE_CHECKING:
    from omc_pipeline.imports.notes import Notes
    from omc_pipeline.imports.row import Row

Shape = Literal["table", "json", "sqlite"]
Titles = str | tuple[str, ...]
"""How a column is titled in the file; several where versions of the format differ."""


STATUS = ("Status", "State", "Order Status", "Transaction Status")


@dataclass(frozen=True)
class Format:
    """One format, declared in a file of its own; found without being listed.

    Attributes:
        name: ``<venue>_<kind>``, the name of its file.
        venue: Whose export it is; a file of a tool that knows many venues says it for each row, or has none.
        title: What the export is called where it is downloaded.
        link: Where the format is described.
        columns: By the name that ``read`` uses, how the column is titled; every one must be there.
        optional: The same for those that some exports have; what is taken to be absent is said in ``absent``.
        absent: For each optional column that bears on money, what its absence is taken to mean.
        irrelevant: Titles of columns that have no part in any sum; every other column is refused by name.
        zone: Zone of times that state none; None: a person must say.
        order: What comes first in ``2/3/2024``; None where the format writes no such days.
        shape: ``table``: lines under a header. ``json``: a list of objects. ``sqlite``: a table of a database.
        is_ordered: Whether rows at one instant stand in the order in which they happened, oldest first.
        read: Turn rows into fills; what they leave out they report to the notes.
        marker: Of JSON, bytes without which a document is not of this format; spares parsing the others.
        objects: Of JSON, return the rows of a document, or None where it is not of this format.
        query: Of a database, the statement that gives the rows.
        states_symbols: Whether coins are named by the symbols of the registry, and not by tickers of a venue.
    """

    name: str
    venue: str
    title: str
    link: str
    columns: Mapping[str, Titles]
    read: Callable[[Iterable[Row], Notes], Iterator[Fill]]
    optional: Mapping[str, Titles] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    irrelevant: Sequence[str] = ()
    zone: str | None = None
    order: Literal["day first", "month first"] | None = None
    shape: Shape = "table"
    is_ordered: bool = False
    objects: Callable[[object], Sequence[Mapping[str, object]] | None] | None = None
    query: str = ""
    marker: bytes = b""
    states_symbols: bool = False

    def missing(self, titles: Iterable[str]) -> list[str]:
        """Return the titles of the columns that a file of this format must have and these lack; titles are plain."""
        there = set(titles)
        return [_first(wanted) for wanted in self.columns.values() if not there & set(_folded(wanted))]

    @property
    def every_optional(self) -> Mapping[str, Titles]:
        """Return the optional columns, and a status: any venue may add one, and a row that never happened must not count."""
        known = {title for said in (*self.columns.values(), *self.optional.values()) for title in _folded(said)}
        known |= {folded(title) for title in self.irrelevant}
        free = tuple(title for title in STATUS if folded(title) not in known)
        return self.optional if "status" in self.columns or len(free) < len(STATUS) else {"status": free, **self.optional}

    def places(self, titles: Sequence[str]) -> Mapping[str, int]:
        """Return where each known column stands among plain titles, by the name that ``read`` uses."""
        wanted = {**self.columns, **self.every_optional}
        at = {title: place for place, title in enumerate(titles)}
        return {
            name: next(at[title] for title in _folded(said) if title in at) for name, said in wanted.items() if set(_folded(said)) & set(at)
        }

    def unknown(self, titles: Sequence[str]) -> list[str]:
        """Return the plain titles that are neither read nor known to be irrelevant."""
        known = {title for said in (*self.columns.values(), *self.every_optional.values()) for title in _folded(said)}
        known |= {folded(title) for title in self.irrelevant}
        return [title for title in titles if title and title not in known]


def _first(said: Titles) -> str:
    return said if isinstance(said, str) else said[0]


def _folded(said: Titles) -> tuple[str, ...]:
    return (folded(said),) if isinstance(said, str) else tuple(folded(title) for title in said)
