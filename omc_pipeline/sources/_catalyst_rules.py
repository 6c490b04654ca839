"""The rules of ``catalyst_rules.toml``: the kind of event of a title, its coins, and its expected effect on prices."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from omc_infra.errors import ConfigurationError

_FILE = Path(__file__).with_name("catalyst_rules.toml")
_LEAST_IMPACT, _MOST_IMPACT = 1, 10
_ONE = r"[A-Z0-9]{2,10}"
_IN_BRACKETS = re.compile(rf"\(\s*\$?({_ONE}(?:\s*(?:,|/|&|and)\s*\$?{_ONE})*)\s*\)", re.ASCII)
_DOLLARS = re.compile(rf"(?<![\w$])\$({_ONE})\b", re.ASCII)
_PAIR = re.compile(rf"\b({_ONE})/(?:AUD|USDT|USDC|USD|BTC)\b", re.ASCII)
_TOKEN = re.compile(_ONE, re.ASCII)


@dataclass(frozen=True)
class Rule:
    """One kind of announcement: its words as one pattern, and its impact."""

    type: str
    impact: int
    pattern: re.Pattern[str] | None

    def matches(self, title: str) -> bool:
        """Return whether a title contains one of the words."""
        return self.pattern is None or self.pattern.search(title) is not None


@dataclass(frozen=True)
class Rules:
    """The whole file."""

    announcements: tuple[Rule, ...]
    not_tokens: frozenset[str]
    impacts: Mapping[str, Mapping[str, Any]]


@lru_cache(maxsize=1)
def rules() -> Rules:
    """Read the file, once.

    Raises:
        ConfigurationError: It is not of its shape.
    """
    try:
        document = tomllib.loads(_FILE.read_text("utf-8"))
        announcements = tuple(Rule(each["type"], each["impact"], _pattern(each["words"])) for each in document["announcement"])
        impacts = {name: document[name] for name in ("listing", "proposal", "filing")}
        return Rules(announcements, frozenset(document["not_tokens"]), impacts)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{_FILE.name}: {type(error).__name__}: {error}") from error


def announcement_rule(title: str) -> Rule:
    """Return the first rule that a title matches; the last one matches all."""
    flat = " ".join(title.replace("\u2019", "'").split())
    return next(rule for rule in rules().announcements if rule.matches(flat))


def tokens_in(text: str) -> list[str]:
    """Return the tickers in a text, in their order: ``(WIF)``, ``(AAA, BBB)``, ``$WIF`` and ``WIF/AUD``."""
    found = [(match.start(), one) for match in _IN_BRACKETS.finditer(text) for one in _TOKEN.findall(match[1])]
    found += [(match.start(), match[1]) for pattern in (_DOLLARS, _PAIR) for match in pattern.finditer(text)]
    ordered = (token for _, token in sorted(found, key=lambda each: each[0]))
    return list(dict.fromkeys(token for token in ordered if token not in rules().not_tokens and not token.isdecimal()))


def impact_of(kind: str, name: str) -> int:
    """Return the impact of a kind of listing or proposal.

    Raises:
        ValueError: The rules give none, or one that is out of range.
    """
    return checked_impact(rules().impacts[kind].get(name))


def impact_of_filing(form: str, items: str | None) -> int:
    """Return the impact of a filing: the impact of its form; for Form 8-K, the highest of its items."""
    table = rules().impacts["filing"]
    known: Iterable[str] = (items or "").split(",") if form.startswith("8-K") else ()
    of_items = [table["items"][code.strip()] for code in known if code.strip() in table["items"]]
    return checked_impact(max(of_items, default=table["forms"].get(form.removesuffix("/A"), table["default"])))


def checked_impact(value: object) -> int:
    """Return an impact from 1 to 10.

    Raises:
        ValueError: It is anything else; it is not brought into range, for then nobody would see that a rule is wrong.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not _LEAST_IMPACT <= value <= _MOST_IMPACT:
        raise ValueError(f"impact {value!r} is not from {_LEAST_IMPACT} to {_MOST_IMPACT}")
    return value


def _pattern(words: Iterable[str]) -> re.Pattern[str] | None:
    written = [r"\s+(?:\S+\s+){0,6}?".join(r"\s+".join(map(re.escape, part.split())) for part in word.split("*")) for word in words]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(written)})(?![\w-])", re.IGNORECASE) if written else None
