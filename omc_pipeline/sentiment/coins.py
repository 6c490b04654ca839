"""Which coins a title names, by keywords. One in capitals counts in capitals only, since tickers are words too; any other in any case."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache


def coins_of(title: str, keywords: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the symbols whose keywords stand in a title as whole words, in order; none where it names no coin."""
    frozen = tuple((symbol, tuple(words)) for symbol, words in keywords.items())
    return tuple(sorted(symbol for symbol, pattern in _patterns(frozen) if pattern.search(title)))


@lru_cache(maxsize=8)
def _patterns(keywords: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((symbol, re.compile("|".join(map(_whole, words)))) for symbol, words in keywords)


def _whole(keyword: str) -> str:
    word = re.escape(keyword)
    return rf"(?<!\w){word if keyword.isupper() else f'(?i:{word})'}(?!\w)"
