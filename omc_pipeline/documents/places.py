"""Where a literal stands in a document: its sentence or row, and all around it that speaks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Cell, Document, Passage
from omc_pipeline.documents.reader import fold

_LONGEST_LITERAL = 2000


@dataclass(frozen=True)
class Place:
    """Where a literal stands: its sentence or row, the characters before and after it there, and all that speaks for it."""

    passage: Passage
    sentence: str
    before: str
    after: str
    cell: Cell | None

    @property
    def heads(self) -> str:
        """Heads of its cell and the row's label."""
        return " ".join([*(self.cell.heads if self.cell else ()), self.passage.label if self.cell else ""])

    @property
    def near(self) -> str:
        """Sentence or row with heads."""
        return f"{self.heads} {self.sentence}"

    @property
    def around(self) -> str:
        """The same with the heading above."""
        return f"{self.passage.heading} {self.near}"


def places(fact: DocumentFact, document: Document) -> Iterator[Place]:
    """Yield each place of a fact's literal: whole words and numbers only, in its passage, or in any where it names none."""
    literal = fold(fact.literal)
    if not literal or len(literal) > _LONGEST_LITERAL:
        return
    passages = document.passages if fact.passage == 0 else [p for p in document.passages if p.number == fact.passage]
    for passage in passages:
        if literal not in passage.text and not (passage.is_row and literal in passage.joined):
            continue
        cell = next((cell for cell in passage.cells if literal in cell.text), None)
        for sentence in _sentences(passage):
            for start in _starts(literal, sentence):
                yield Place(passage, sentence, sentence[:start], sentence[start + len(literal) :], cell)


def stands_in(literal: str, text: str) -> bool:
    """Whether a literal stands in the text of a passage as whole words and numbers; cells of a row may be joined by bars."""
    wanted = fold(literal)
    if not wanted or len(wanted) > _LONGEST_LITERAL:
        return False
    return any(True for shown in (text, text.replace(" | ", " ")) for _ in _starts(wanted, shown))


def _starts(literal: str, text: str) -> Iterator[int]:
    start = text.find(literal)
    while start >= 0:
        if not (_cuts(text, start) or _cuts(text, start + len(literal))):
            yield start
        start = text.find(literal, start + 1)


def _sentences(passage: Passage) -> list[str]:
    if passage.is_row:
        return list(dict.fromkeys([passage.joined, *(cell.text for cell in passage.cells if not cell.heads)]))[:1]
    return list(passage.sentences())


def _cuts(text: str, at: int) -> bool:
    """Whether a place is within a number or a word."""
    if not 0 < at < len(text):
        return False
    left, right = text[at - 1], text[at]
    return (
        (left.isdigit() and right.isdigit())
        or (left.isalpha() and right.isalpha() and not (left.islower() and right.isupper()))
        or (left in ".," and right.isdigit() and at > 1 and text[at - 2].isdigit())
        or (left.isdigit() and right in ",." and text[at + 1 : at + 2].isdigit())
    )
