"""What no printed text may hold: links, markup, key-like strings, characters one can't see."""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = (
    (
        "url",
        re.compile(
            r"[a-z][a-z0-9+.-]*:/|//|\bwww\.|\b(?:mailto|javascript|data):|\b[a-z0-9-]+\.(?:com|net|org|io|xyz|ru|cn|dev|app|ai|gg|me|co)\b",
            re.IGNORECASE,
        ),
    ),
    ("markup", re.compile(r"[<>`]|\]\(|!\[|&[#a-z0-9]+;", re.IGNORECASE)),
    ("key-like", re.compile(r"\b(?:sk|pk|ghp|gho|xox[abp]|akia|eyj)[-_a-z0-9]{12,}|[A-Za-z0-9+_-]{32,}={0,2}", re.IGNORECASE)),
    ("placeholder", re.compile(r"[{}]")),
)
_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")


def unsafe_reason(text: str) -> str | None:
    """Return why a text may not be printed, or None where it may."""
    if any(is_hidden(char) for char in text):
        return "hidden character"
    return next((reason for reason, pattern in _UNSAFE if pattern.search(text)), None)


def storable_text(text: str) -> str:
    """Return a text with a replacement character where it has what PostgreSQL can't store: NUL, and halves of a character."""
    return _UNSTORABLE.sub("\ufffd", text)


def is_hidden(char: str) -> bool:
    """Whether a character is a control, format (bidi, zero-width, tag), private or surrogate one; the space is not."""
    return unicodedata.category(char) in {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}


def visible_text(text: str, *, limit: int) -> str:
    """Return outside text in one normal form (NFKC), without hidden characters, in one line, capped at ``limit`` characters."""
    shown = "".join(" " if char in "\n\r\t" else char for char in unicodedata.normalize("NFKC", text))
    return " ".join("".join(char for char in shown if not is_hidden(char)).split())[:limit]
