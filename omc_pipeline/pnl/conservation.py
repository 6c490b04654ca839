"""The laws that hold with ``==`` or something is broken: nothing bought, sold or paid is lost between trades and matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omc_pipeline.pnl.amounts import text_of
from omc_pipeline.pnl.engine import ZERO_BASIS
from omc_pipeline.pnl.result import PositionResult


@dataclass(frozen=True, slots=True)
class Finding:
    """A law that a position breaks; amounts are decimal text."""

    law: str
    symbol: str
    currency: str
    expected: str
    observed: str

    def __str__(self) -> str:
        return f"{self.symbol}/{self.currency}: {self.law}: expected {self.expected}, observed {self.observed}"


def conservation_findings(position: PositionResult) -> list[Finding]:
    """Check a position's matches and open lots against what was bought and sold; empty when every law holds.

    A transfer takes as much from one account as it brings to another, so the laws leave it out on both sides.
    """
    matching = position.matching
    from_lots = [match for match in matching.matches if match.rule not in (ZERO_BASIS, "transfer")]
    unheld = sum(matching.unmatched.values())
    laws = (
        ("units bought = matched + open", position.bought_qty, sum(m.qty for m in from_lots) + position.qty),
        ("cost bought = matched + open", position.bought, sum(m.cost for m in from_lots) + position.cost),
        ("units sold = matched + unmatched", position.sold_qty, sum(m.qty for m in from_lots) + unheld),
        ("gains of sells = gains of matches", sum(matching.realized.values()), position.gains),
    )
    return [finding(law, position.symbol, position.currency, units) for law, *units in laws if units[0] != units[1]]


def finding(law: str, symbol: str, currency: str, units: Sequence[int]) -> Finding:
    """Write a broken law; ``units`` are what was expected and what was observed."""
    return Finding(law, symbol, currency, text_of(units[0]), text_of(units[1]))
