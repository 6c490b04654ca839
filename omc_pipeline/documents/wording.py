"""Whether the words of a value or of a subject stand in a text."""

from __future__ import annotations

import re

_WORD = re.compile(r"[\w.%’'-]+")
_COMMON = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "and",
        "or",
        "for",
        "to",
        "in",
        "on",
        "at",
        "by",
        "its",
        "our",
        "with",
        "stock",
        "class",
        "common",
        "series",
        "inc",
        "corp",
        "llc",
        "ltd",
        "plc",
        "total",
        "company",
        "shares",
        "share",
    ]
)


def words(text: str) -> list[str]:
    """Return the words of a text that mean something, in lower case."""
    found = (word.strip(".") for word in _WORD.findall(text.lower()))
    return [word for word in found if word not in _COMMON and len(word) > 1]


def words_stand(value: str, text: str, most: float = 0.66) -> bool:
    """Whether most words of a value stand in a text, by their stems; all of them where they are few and ``most`` is above a half."""
    wanted = words(value)
    if not wanted:
        return value.strip().lower() in text.lower()
    there = text.lower()
    hits = sum(bool(re.search(rf"(?<![\w]){re.escape(_stem(word))}", there)) for word in wanted)
    return hits == len(wanted) if len(wanted) <= 2 and most > 0.5 else hits >= most * len(wanted)


def _stem(word: str) -> str:
    word = word.rstrip(".")
    return re.sub(r"(?:ies|es|s|ed|ing)$", "", word) if len(word) > 5 and word.isalpha() else word


def last_match(pattern: re.Pattern[str], text: str) -> int:
    """Return where the last match of a pattern begins; -1 where there is none."""
    return max((match.start() for match in pattern.finditer(text)), default=-1)
