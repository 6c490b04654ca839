"""HTML to blocks: paragraphs and table rows, as a browser would show them. lxml parses; the walk is iterative, so depth costs nothing.

Inline tags, those of inline XBRL among them, are transparent: a word may be split by them. Hidden parts, scripts and the header of
inline XBRL are left out. In tables ``$``, ``(``, ``)`` and ``%`` often stand in cells of their own: they join their number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from omc_pipeline.documents.passage import Cell

MOST_CELLS = 200_000
_BLOCKS = frozenset(
    [
        "p",
        "div",
        "li",
        "ul",
        "ol",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "body",
        "html",
        "section",
        "article",
        "aside",
        "header",
        "footer",
        "main",
        "nav",
        "title",
        "option",
        "caption",
        "dd",
        "dt",
        "dl",
        "pre",
        "blockquote",
        "center",
        "document",
        "type",
        "sequence",
        "filename",
        "description",
        "text",
        "form",
        "fieldset",
        "figure",
        "figcaption",
        "address",
        "br",
    ]
)
_HEADINGS = frozenset(["h1", "h2", "h3", "h4", "h5", "h6", "caption"])
_DROPPED = frozenset(["script", "style", "head", "ix:header", "noscript", "template", "svg", "math", "iframe", "object"])
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_BULLET = re.compile(r"[•●◌○■▪◦·–—*-]|\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)]")
_YEAR_OR_DATE = re.compile(
    r"^(?:[A-Za-z]+\.? \d{1,2},? )?(?:19|20)\d\d$|^\d{1,2}/\d{1,2}/\d{2,4}$|^(?:Q[1-4]|[A-Z][a-z]{2,8}) ?(?:19|20)?\d\d$"
)


@dataclass(frozen=True)
class Block:
    """A paragraph, or a row of a table where ``cells`` are there."""

    text: str
    cells: tuple[Cell, ...] = ()
    is_heading: bool = False


@dataclass
class _Row:
    cells: list[tuple[int, int, str]] = field(default_factory=list)
    """Column of its first character, width in columns, text."""


@dataclass
class _Table:
    rows: list[_Row] = field(default_factory=list)
    spans: dict[int, int] = field(default_factory=dict)
    """Rows that a cell above still covers, by column."""


def html_blocks(body: bytes) -> tuple[str, Iterator[Block]]:
    """Parse markup.

    Returns:
        The title, and the blocks in the order in which they are read.
    """
    from lxml import etree

    parser = etree.HTMLParser(no_network=True, remove_comments=True, remove_pis=True, huge_tree=True, encoding=_encoding(body))
    root = etree.fromstring(body, parser)
    if any("depth" in (entry.message or "").lower() for entry in parser.error_log):
        return "", _flat_blocks(body)  # deeper than the parser goes: what is below would be lost
    if root is None:
        return "", iter(())
    title = root.findtext(".//head/title") or ""
    return title, _blocks(root)


class _Flat(HTMLParser):
    """Text between block tags, without tables; a stream, so that depth costs nothing."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = [""]
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in _DROPPED
        if tag in _BLOCKS or tag in ("tr", "td", "th"):
            self.parts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in _DROPPED))
        if tag in _BLOCKS or tag == "tr":
            self.parts.append("")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts[-1] += data


def _flat_blocks(body: bytes) -> Iterator[Block]:
    parser = _Flat()
    parser.feed(body.decode("utf-8", errors="replace"))
    parser.close()
    for part in parser.parts:
        if part.strip():
            yield Block(part)


def _encoding(body: bytes) -> str | None:
    """Return utf-8 where the bytes are that, whatever they say of themselves; otherwise let the parser see."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        declared = re.search(rb"charset=[\"']?([\w-]+)", body[:4096])
        return None if declared and declared[1].lower() != b"utf-8" else "cp1252"
    return "utf-8"


def _events(root: Any) -> Iterator[tuple[str, str, Any, str]]:
    """Walk without recursion: ``("open" | "close" | "text", tag, element, text)``; what is hidden is passed over whole."""
    stack: list[tuple[Any, bool]] = [(root, False)]
    while stack:
        element, closing = stack.pop()
        tag = element.tag.lower() if isinstance(element.tag, str) else ""
        if closing:
            yield "close", tag, element, ""
            if element is not root and element.tail:
                yield "text", "", element, element.tail
            continue
        if tag in _DROPPED or not tag or _HIDDEN.search(element.get("style") or "") or element.get("hidden") is not None:
            if element is not root and element.tail:
                yield "text", "", element, element.tail
            continue
        yield "open", tag, element, ""
        if element.text:
            yield "text", tag, element, element.text
        stack.append((element, True))
        stack.extend((child, False) for child in reversed(element))


def _blocks(root: Any) -> Iterator[Block]:  # noqa: C901 one case after the other
    text: list[str] = []
    tables: list[_Table] = []
    cell: list[list[str]] = []
    heading = False
    cells = 0
    for event, tag, element, words in _events(root):
        if event == "text":
            (cell[-1] if cell else text).append(words)
            continue
        if tag == "table":
            if event == "open":
                if not tables and text:
                    yield Block("".join(text), is_heading=heading)
                    text = []
                tables.append(_Table())
            elif tables:
                done = tables.pop()
                if tables:  # a table within a cell: its rows belong to the outer one
                    tables[-1].rows += done.rows
                else:
                    yield from _rows(done)
                    cell = []
        elif tables and tag == "tr":
            if event == "open":
                tables[-1].rows.append(_Row())
        elif tables and tag in ("td", "th"):
            if event == "open":
                cell.append([])
                cells += 1
            elif cell:
                _place(tables[-1], element, "".join(cell.pop()) if cells <= MOST_CELLS else "")
        elif tag == "sup":  # the mark of a footnote is no digit of the number before it
            (cell[-1] if cell else text).append(" " if event == "open" else "")
        elif tag in _BLOCKS:
            if cell:
                cell[-1].append(" ")
            elif not tables:
                if text:
                    yield Block("".join(text), is_heading=heading)
                    text = []
                heading = event == "open" and tag in _HEADINGS
    if text:
        yield Block("".join(text))


def _place(table: _Table, element: Any, text: str) -> None:
    """Put a cell at its column: after those before it, and beside those that cells above still cover."""
    if not table.rows:
        table.rows.append(_Row())
    row = table.rows[-1]
    column = row.cells[-1][0] + row.cells[-1][1] if row.cells else 0
    row.cells.append((column, _span(element, "colspan"), re.sub(r"\s+", " ", text).strip()))


def _span(element: Any, name: str) -> int:
    value = element.get(name) or "1"
    return min(100, max(1, int(value))) if value.isdigit() and len(value) < 6 else 1


def _rows(table: _Table) -> Iterator[Block]:
    """Yield a table's rows; heads are the rows before the first with a number, and where a later row has none, again those."""
    heads: list[list[tuple[int, int, str]]] = []
    collecting = True
    for row in table.rows:
        cells = _joined(row.cells)
        if not cells:
            continue
        if _BULLET.fullmatch(cells[0][2]) and len(cells) > 1:
            cells = cells[1:]
            if len(cells) == 1:
                yield Block(cells[0][2])
                continue
        if len(cells) == 1 and ((not heads and len(table.rows) == 1) or not collecting):
            yield Block("", (Cell(cells[0][2]),))
            continue
        if _is_head(cells):
            if not collecting:
                heads = []
            collecting = True
            heads.append(cells)
            yield Block("", tuple(Cell(text) for _, _, text in cells))
            continue
        collecting = False
        yield Block("", tuple(Cell(text, _heads(heads, column, width)) for column, width, text in cells))


def _heads(heads: list[list[tuple[int, int, str]]], column: int, width: int) -> tuple[str, ...]:
    found = []
    for row in heads:
        over = [text for start, wide, text in row if start < column + width and column < start + wide]
        found += over[:1] if len(over) == 1 else over[-1:]
    return tuple(found)


def _is_head(cells: list[tuple[int, int, str]]) -> bool:
    values = [text for _, _, text in cells[1:]] if len(cells) > 1 else [text for _, _, text in cells]
    return not any(_is_value(text) for text in values)


def _is_value(text: str) -> bool:
    """Whether a cell is a number rather than a label, a year or a date."""
    if _YEAR_OR_DATE.match(text):
        return False
    bare = re.sub(r"[$€£¥%(),.\-–—\s~+x]|US|BTC|ETH|SOL|million|billion|\bM\b|\bB\b|\bK\b", "", text)
    return bool(bare) and bare.isdigit()


def _joined(cells: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Join signs that stand alone to their number: ``$`` and ``(`` to the right, ``%`` and ``)`` to the left; drop empty cells."""
    joined: list[tuple[int, int, str]] = []
    prefix, at = "", 0
    for column, width, text in cells:
        if not text:
            continue
        if text in ("$", "(", "$(", "US$", "€", "£", "~", "-$"):
            prefix, at = prefix + text, column if not prefix else at
        elif text in (")", "%", ")%", "%)", "pp", "x") and joined:
            start, _, before = joined.pop()
            joined.append((start, column + width - start, before + text))
        else:
            start = at if prefix else column
            joined.append((start, column + width - start, prefix + text))
            prefix = ""
    if prefix:
        joined.append((at, 1, prefix))
    return joined
