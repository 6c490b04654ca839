"""Decide which possible pairs of fills are certain; pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

_Key = tuple[str, str]
"""Account and fill id, or account and source."""
_End = tuple[_Key, _Key]
"""A fill, and the door at which it found another one."""


class Reported(NamedTuple):
    """A fill from one source; ``is_own``: the source is the account's own."""

    account_id: str
    fill_id: str
    source: str
    recorded_at: datetime
    is_own: bool

    @property
    def key(self) -> tuple[str, str]:
        """Account and fill id."""
        return self.account_id, self.fill_id

    @property
    def door(self) -> tuple[str, str]:
        """Account and source."""
        return self.account_id, self.source

    @property
    def precedence(self) -> tuple[bool, datetime, str, str]:
        """Sort key that decides which of two fills counts: the smaller one."""
        return not self.is_own, self.recorded_at, self.source, self.fill_id


@dataclass(frozen=True)
class Candidate:
    """Two fills that may be the same; ``facts`` are those of the first, ``is_exact``: the second one has the same facts."""

    first: Reported
    second: Reported
    is_exact: bool
    facts: str

    @classmethod
    def of(cls, row: Sequence[Any]) -> Candidate:
        """Read a row: five columns of each fill, whether they agree exactly, the facts."""
        one, two = Reported._make((*row[:4], bool(row[4]))), Reported._make((*row[5:9], bool(row[9])))
        return cls(one, two, bool(row[10]), str(row[11]))

    @property
    def counting(self) -> tuple[str, str]:
        """Account and fill id of the fill that counts."""
        return min(self.first, self.second, key=lambda details: details.precedence).key

    @property
    def duplicate(self) -> tuple[str, str]:
        """Account and fill id of the other one."""
        return max(self.first, self.second, key=lambda details: details.precedence).key

    @property
    def rule(self) -> str:
        """Rule that found the pair, for the table."""
        where = "same account" if self.first.account_id == self.second.account_id else "another account of the venue"
        return f"{where}, {'equal facts' if self.is_exact else 'equal within rounding'}"

    def certainty(self, state: str) -> str:
        """Return how sure the pair is in a state of ``exchange.fill_pair``."""
        return "ambiguous" if state == "proposed" else "exact" if self.is_exact else "rounded"


def assigned(found: Iterable[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """Split candidates into certain pairs and pairs that the user has to decide.

    A pair is certain where neither fill has another candidate at the other's door, or where all fills that it could be agree in
    every fact: then any of them is as good as any other. What a certain pair uses up is no candidate any more.
    """
    candidates = sorted(
        _distinct(found), key=lambda one: (not one.is_exact, min(one.first.precedence, one.second.precedence), one.duplicate)
    )
    certain, used = list[Candidate](), set[_End]()
    counting, duplicates = set[_Key](), set[_Key]()
    for one in (*_exact_twins(candidates), *_only_ones(candidates)):
        if used & set(_ends(one)) or one.duplicate in counting | duplicates or one.counting in duplicates:
            continue
        certain.append(one)
        used |= set(_ends(one))
        counting.add(one.counting)
        duplicates.add(one.duplicate)
    proposed = [one for one in candidates if not used & set(_ends(one)) and not {one.duplicate, one.counting} & duplicates]
    return certain, proposed


def _distinct(found: Iterable[Candidate]) -> list[Candidate]:
    """Drop the mirror image of a candidate, which two new fills have."""
    return list({frozenset((one.first.key, one.second.key)): one for one in found}.values())


def _ends(one: Candidate) -> tuple[_End, _End]:
    """Name each fill together with the door at which it found the other: there it finds no second one."""
    return (one.first.key, one.second.door), (one.second.key, one.first.door)


def _exact_twins(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates of one account that agree exactly, one after another, so that each fill gets a partner of its own."""
    return [one for one in candidates if one.is_exact and one.first.account_id == one.second.account_id]


def _only_ones(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates of one account that are the only ones of both their fills."""
    possible: dict[_End, int] = defaultdict(int)
    for one in candidates:
        for end in _ends(one):
            possible[end] += 1
    return [one for one in candidates if one.first.account_id == one.second.account_id and all(possible[end] == 1 for end in _ends(one))]
