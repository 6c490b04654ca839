"""Turn HTML from outside into one clean line of text: no tags, no entities, no invisible characters."""

from __future__ import annotations

import re
import unicodedata
from html import unescape

LONGEST_HTML = 20_000
"""Characters of a text that are looked at; what follows is no short text."""

# Not html.parser: it takes quadratic time for tags that never end. Here nothing is looked for beyond the next "<".
_TAG = re.compile(r"""<(!--|[a-zA-Z/!?])(?:(?:[^<>"']|"[^"<]*+"|'[^'<]*+')*+>|[^<>]*+>)""")
_SILENT = re.compile(r"<(/?)(script|style|template|noscript|iframe|svg)\b", re.IGNORECASE)
_HIDDEN = {"Cf", "Cs", "Co", "Cn"}
"""Unicode categories that are left out: format characters (bidi, zero width), half surrogate pairs, private and unassigned ones."""
_SPACING = {"Cc", "Zl", "Zp"}
"""Unicode categories that part words: control characters, separators of lines and paragraphs."""


def html_line(html: str, longest: int) -> str:
    """Return the text of a piece of HTML in one line, shortened at a word with ``…`` where it is too long; maybe empty.

    Args:
        html: HTML, or text whose entities are escaped once or twice, as feeds do within CDATA.
        longest: Most characters of the answer.
    """
    text = html[:LONGEST_HTML]
    for _ in range(2):
        text = unescape(_without_tags(text))
    return shortened(clean_line(text), longest)


def _without_tags(html: str) -> str:
    """Put a blank in place of each tag, and leave out what scripts and the like hold."""
    parts: list[str] = []
    read_to, silent = 0, False
    for tag in _TAG.finditer(html):
        if not silent:
            parts += (html[read_to : tag.start()], " ")
        read_to = tag.end()
        if element := _SILENT.match(tag[0]):
            silent = not element[1] and not tag[0].endswith("/>")
    return "".join(parts if silent else [*parts, html[read_to:]])


def clean_line(text: str) -> str:
    """Return a text in one line, without characters that show nothing."""
    return " ".join("".join(map(_shown, text)).split())


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    category = unicodedata.category(character)
    return "" if category in _HIDDEN else " " if category in _SPACING else character


def shortened(text: str, longest: int) -> str:
    """Return a text of at most so many characters; cut at the last word that fits, and marked with ``…``."""
    if len(text) <= longest:
        return text
    cut = text[:longest]
    at_word = cut[:-1].rsplit(" ", 1)[0] if " " in cut[:-1] else cut[:-1]
    return f"{at_word}…"
