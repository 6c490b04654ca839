"""Keys struck out of whatever is logged, raised or stored about a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, quote_plus

from omc_infra.logs import STRUCK, redact

_SHORTEST = 6
"""A shorter value is no key, and striking it would mangle words."""


def striker(values: Iterable[str], parameters: Iterable[str]) -> Callable[[str], str]:
    """Compose a function that strikes secrets out of a text.

    Args:
        values: Keys in clear, struck wherever they stand, as they are or percent-encoded: in a path, a query, an echoing body.
        parameters: Names of query parameters whose value is struck whatever it is.
    """
    spellings = {spelling for value in values if len(value) >= _SHORTEST for spelling in (value, quote(value, safe=""), quote_plus(value))}
    patterns = [re.escape(spelling) for spelling in sorted(spellings, key=len, reverse=True)]
    names = "|".join(re.escape(name) for name in parameters)
    if names:
        patterns.append(rf"(?i:(?<=[?&])(?P<name>{names})=)[^&\s\"']+")
    if not patterns:
        return redact
    secret = re.compile("|".join(patterns))

    def strike(text: str) -> str:
        return redact(secret.sub(lambda hit: f"{hit['name']}={STRUCK}" if names and hit["name"] else STRUCK, text))

    return strike
