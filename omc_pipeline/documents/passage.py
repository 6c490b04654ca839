"""What a document consists of once it is read: numbered passages, each a paragraph or a row of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

_ENDS = re.compile(r"(?<=[.!?;])[”\")’]*\s+(?=[A-Z“\"(•\d])")
_ABBREVIATED = re.compile(
    r"(?:\b(?:Inc|Corp|Co|Ltd|LLC|No|Nos|Mr|Mrs|Ms|Dr|St|vs|approx|U\.S|U\.K|i\.e|e\.g|Jr|Sr|[A-Z])|^\d{1,2})\.$", re.IGNORECASE
)


@dataclass(frozen=True)
class Cell:
    """A cell of a table's row: its text, and the heads that stand above it, the topmost first."""

    text: str
    heads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Passage:
    """A paragraph or a table's row.

    Attributes:
        number: From 1, in the document's order.
        text: Its characters; white space folded, cells of a row joined by `` | ``.
        heading: The nearest heading, caption or introducing line above; empty at the top.
        cells: Of a row; empty for a paragraph.
    """

    number: int
    text: str
    heading: str = ""
    cells: tuple[Cell, ...] = ()

    @property
    def is_row(self) -> bool:
        """Whether it is a row of a table."""
        return bool(self.cells)

    @property
    def joined(self) -> str:
        """Its characters without the bars between cells, as a person quotes a row."""
        return self.text.replace(" | ", " ")

    @property
    def label(self) -> str:
        """The row's first cell; empty for a paragraph."""
        return self.cells[0].text if self.cells else ""

    def sentences(self) -> Sequence[str]:
        """Return a paragraph's sentences in their order; a row is one."""
        return (self.text,) if self.is_row else sentences(self.text)


@dataclass(frozen=True)
class Document:
    """A document that was read.

    Attributes:
        passages: In order, numbered from 1.
        title: Of the markup, where it has one.
    """

    passages: tuple[Passage, ...]
    title: str = ""

    def __hash__(self) -> int:
        """Hash a document in constant time, by its beginning and its length; what is told of a document is cached by it."""
        return hash((self.title, len(self.passages), self.passages[:1]))


@lru_cache(maxsize=4096)
def sentences(text: str) -> tuple[str, ...]:
    """Split a paragraph into sentences; abbreviations such as ``Inc.`` and initials end none."""
    cuts = [0]
    for found in _ENDS.finditer(text):
        before = text[cuts[-1] : found.start()].rstrip('”")’ ').rsplit(" ", 1)[-1]
        if not _ABBREVIATED.search(before):
            cuts.append(found.end())
    cuts.append(len(text))
    return tuple(part for start, end in pairwise(cuts) if (part := text[start:end].strip()))
