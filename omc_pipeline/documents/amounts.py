"""Numbers and scales as documents write them: ``$980.3 million``, ``(3.02)``, ``$13m``, ``one billion`` is not one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache

NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
SCALE = r"(?:\s?(?:thousand|million|billion|trillion|mm|bn|[KkMmBb])\b)?"
CURRENCY = r"(?:US\s?\$|USD\s?|\$)"
MONEY = rf"{CURRENCY}\s?\(?{NUMBER}\)?{SCALE}"
_SCALES = {"thousand": 3, "k": 3, "million": 6, "mm": 6, "m": 6, "billion": 9, "bn": 9, "b": 9, "trillion": 12}
_PARTS = re.compile(
    rf"(?P<sign>[-−–]\s?)?(?P<currency>{CURRENCY})?\s?(?P<open>\()?\s?(?P<after>{CURRENCY})?\s?"
    rf"(?P<number>{NUMBER}|\.\d+)(?P<close>\s?\))?\s?(?P<scale>thousand|million|billion|trillion|mm|bn|[KkMmBb])?(?![A-Za-z])",
    re.IGNORECASE,
)
_TABLE_SCALE = re.compile(
    r"\(?\s*(?:\$|US\$|USD)?\s*(?:in|amounts? in|dollars in)?\s*(thousands|millions|billions)\b|\(\$?\s?([KMBkmb]|mm)\)", re.IGNORECASE
)


@dataclass(frozen=True)
class Amount:
    """A number that was read: its value in full units, whether money, and its place in the text."""

    value: Decimal
    is_money: bool
    start: int
    end: int
    digits: Decimal
    scale: int


@lru_cache(maxsize=8192)
def amounts(text: str) -> tuple[Amount, ...]:
    """Return every number of a text with its own scale word, negative in parentheses that close."""
    found = []
    for match in _PARTS.finditer(text):
        start = match.start() + len(match[0]) - len(match[0].lstrip())
        if start and text[start - 1].isalnum() and start == match.start():
            continue
        try:
            digits = Decimal(match["number"].replace(",", ""))
        except InvalidOperation:  # pragma: no cover - the pattern lets only numbers through
            continue
        scale = _SCALES.get((match["scale"] or "").lower(), 0)
        negative = bool(match["open"] and match["close"]) or bool(match["sign"] and not match["sign"].startswith("–"))
        value = digits.scaleb(scale)
        found.append(Amount(-value if negative else value, bool(match["currency"] or match["after"]), start, match.end(), digits, scale))
    return tuple(found)


def amount_of(text: str) -> Decimal | None:
    """Return the first number of a text in full units."""
    found = amounts(text)
    return found[0].value if found else None


def table_scale(text: str) -> int:
    """Return the power of ten that a head or a label states for its numbers, as in ``(in millions)``; 0 where it states none."""
    match = _TABLE_SCALE.search(text)
    if not match:
        return 0
    word = (match[1] or match[2]).lower()
    return _SCALES[word.rstrip("s") if len(word) > 2 else word]


def number_words(value: Decimal) -> str:
    """Write a value in full, without an exponent and without zeros that say nothing."""
    text = format(value.normalize(), "f")
    return "0" if text in ("-0", "") else text
