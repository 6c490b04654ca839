"""Titles of columns, compared without regard to case, blanks, underscores and signs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def folded(title: str) -> str:
    """Return what a title is compared by: its letters and digits, in lower case."""
    return "".join(sign for sign in title.casefold() if sign.isalnum())


def folded_titles(titles: Iterable[str]) -> list[str]:
    """Return plain titles, the second of a name as ``name2`` and so on: some formats give a title several times (``Cur.``)."""
    seen: dict[str, int] = {}
    named = []
    for title in titles:
        name = folded(title)
        seen[name] = seen.get(name, 0) + 1
        named.append(name if seen[name] == 1 else f"{name}{seen[name]}")
    return named


def without_idle_end(titles: Sequence[str]) -> list[str]:
    """Return titles without the empty ones at the end."""
    kept = list(titles)
    while kept and not kept[-1].strip():
        kept.pop()
    return kept
