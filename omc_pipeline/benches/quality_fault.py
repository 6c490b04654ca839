"""What a planted fault is, and the words in which faults are written."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from omc_pipeline.benches.quality_days import LEVELS
from omc_pipeline.ledgers.table import LedgerName

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Fault:
    """One fault, ready to be planted.

    Attributes:
        kind: What went wrong.
        details: In which thing, from when to when.
        ledger: Whose suites are to see it.
        bears: Beginnings of the names of the checks that bear on it.
        statements: SQL that plants it, by the table's owner.
        bound: What the statements bind.
        needs_action: Whether a person has to act, so that an alert must open.
    """

    kind: str
    details: str
    ledger: LedgerName
    bears: tuple[str, ...]
    statements: tuple[str, ...]
    bound: Mapping[str, Any] = field(default_factory=dict)
    needs_action: bool = True


@dataclass(frozen=True)
class Draw:
    """What a fault draws its particulars from."""

    chosen: random.Random
    now: datetime

    def symbol(self, of: tuple[str, ...] = tuple(LEVELS)) -> str:
        """Choose a symbol."""
        return self.chosen.choice(of)

    def between(self, least: timedelta, most: timedelta) -> timedelta:
        """Choose a duration."""
        return least + (most - least) * self.chosen.random()

    def is_open(self) -> bool:
        """Choose whether the fault lasts."""
        return self.chosen.random() < 0.5

    def span(self, least: timedelta, most: timedelta, closed_for: tuple[timedelta, ...]) -> tuple[datetime, datetime]:
        """Choose from when to when a fault lasts: up to now, or up to one of these times ago."""
        end = self.now if self.is_open() else self.now - self.chosen.choice(closed_for)
        return end - self.between(least, most), end + (2 * MINUTE if end == self.now else timedelta())


Kind = Callable[[Draw], Fault]


def described(thing: str, span: tuple[datetime, datetime], now: datetime) -> str:
    """Name a thing and the span of its fault."""
    since, until = span
    return f"{thing}, {_shown(now - since)} to {'now' if until >= now else f'{_shown(now - until)} ago'}"


def _shown(span: timedelta) -> str:
    minutes = span.total_seconds() / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
