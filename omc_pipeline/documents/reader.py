"""Bytes of a document to numbered passages. Pure, bounded, and never an exception but ``UnreadableDocumentError``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

from omc_infra.errors import BadInputError
from omc_pipeline.documents.html_blocks import Block, html_blocks
from omc_pipeline.documents.passage import Cell, Document, Passage

MOST_BYTES = 20_000_000
MOST_PASSAGES = 20_000
LONGEST_PASSAGE = 20_000

Media = Literal["html", "text"]
_MARKUP = re.compile(rb"<\s*(?:!doctype\s+html|html|body|div|p|table|document|\?xml|font|center)\b", re.IGNORECASE)
_BINARY = (b"%PDF", b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff", b"\x1f\x8b", b"\xd0\xcf\x11\xe0")
_SPACE = re.compile(r"[\s\u00a0\u2000-\u200a\u202f\u3000]+")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LINK = re.compile(r"!?\[([^\]\n]{0,500})\]\([^)\n]{0,2000}\)")
_EMPHASIS = re.compile(r"(\*\*|__|`)")
_MARKED_HEADING = re.compile(r"^#{1,6}\s+")


class UnreadableDocumentError(BadInputError):
    """The bytes are no document that can be read: too large, not text, or empty; the message says which."""

    advice = "Save the document itself, as HTML or text: not a PDF, not a page that only a script fills."


def media_of(body: bytes) -> Media:
    """Tell markup from text by what the bytes begin with.

    Raises:
        UnreadableDocumentError: They are neither.
    """
    head = body[:4096]
    if head.startswith(_BINARY):
        kind = "a PDF" if head.startswith(b"%PDF") else "a binary file"
        raise UnreadableDocumentError(f"the document is {kind}, not HTML or text")
    if head.count(b"\x00") * 4 > len(head) and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableDocumentError("the document is a binary file, not HTML or text")
    return "html" if _MARKUP.search(head) else "text"


def read_document(body: bytes) -> Document:
    """Read a document.

    Args:
        body: HTML as filed (inline XBRL too), an SEC submission's text, Markdown or plain text; at most ``MOST_BYTES``.

    Returns:
        Its passages; at most ``MOST_PASSAGES``, each at most ``LONGEST_PASSAGE`` characters.

    Raises:
        UnreadableDocumentError: Too large, not text, or nothing in it.
    """
    if len(body) > MOST_BYTES:
        raise UnreadableDocumentError(f"the document has {len(body):,} bytes; at most {MOST_BYTES:,} are read")
    media = media_of(body)
    title, blocks = html_blocks(body) if media == "html" else ("", _text_blocks(decoded(body)))
    document = Document(tuple(_passages(blocks)), fold(title))
    if not document.passages:
        raise UnreadableDocumentError("the document has no text")
    return document


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Fold white space, take invisible and control characters out."""
    return _SPACE.sub(" ", _INVISIBLE.sub("", text)).strip()


def decoded(body: bytes) -> str:
    """Return the text of a body: UTF-16 with its mark, UTF-8, or else Windows-1252."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", errors="replace")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("cp1252", errors="replace")


def _passages(blocks: Iterator[Block]) -> Iterator[Passage]:
    number, heading = 0, ""
    for block in blocks:
        cells = tuple(Cell(fold(cell.text), tuple(filter(None, map(fold, cell.heads)))) for cell in block.cells)
        cells = tuple(cell for cell in cells if cell.text)
        text = (" | ".join(cell.text for cell in cells) if cells else fold(block.text))[:LONGEST_PASSAGE]
        if not text:
            continue
        number += 1
        if number > MOST_PASSAGES:
            return
        yield Passage(number, text, heading, cells if len(cells) > 1 else ())
        if block.is_heading or (not cells and (len(text) < 120 or text.endswith(":"))):
            heading = text


def _text_blocks(text: str) -> Iterator[Block]:
    """Yield paragraphs, headings and table rows of Markdown or plain text."""
    import html

    heads: list[str] = []
    for line in _paragraphs(html.unescape(text)):
        if line.startswith("|") and line.endswith("|"):
            parts = [part.strip() for part in line.strip("|").split("|")]
            if all(set(part) <= set("-: ") for part in parts):
                continue
            cells = tuple(Cell(_unmarked(part), (heads[place],) if place < len(heads) else ()) for place, part in enumerate(parts))
            if not heads:
                heads = [cell.text for cell in cells]
            yield Block("", cells)
            continue
        heads = []
        yield Block(_unmarked(line), is_heading=bool(_MARKED_HEADING.match(line)))


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the lines that stand for themselves, and wrapped lines of one paragraph together."""
    kept: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        alone = line.startswith(("#", "|", "- ", "* ", "•", ">")) or re.match(r"\d+[.)]\s", line)
        if kept and (not line or alone):
            yield " ".join(kept)
            kept = []
        if line.startswith(("#", "|")):
            yield line
        elif line:
            kept.append(line)
    if kept:
        yield " ".join(kept)


def _unmarked(line: str) -> str:
    return _EMPHASIS.sub("", _LINK.sub(r"\1", _MARKED_HEADING.sub("", line)))
