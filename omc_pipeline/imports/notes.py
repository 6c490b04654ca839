"""What reading a file finds beside its fills: rows passed over, rows that a person must look at, what was taken to be so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from omc_pipeline.pnl.result import PnlException


@dataclass
class Notes:
    """Filled while a file is read.

    Attributes:
        passed: Rows that move nothing, by the reason.
        exceptions: Rows that are not counted, or counted with a doubt, each with its reason.
        assumed: What was taken to be so because the file doesn't say.
        rounded: Numbers with more decimals than are kept.
        zoneless: Times that took the zone of the format or of the person.
        values: What a coin was worth, as the file states it: by the id of the fill and the coin, value of a unit and its currency.
    """

    passed: Counter[str] = field(default_factory=Counter)
    exceptions: list[PnlException] = field(default_factory=list)
    assumed: dict[str, None] = field(default_factory=dict)
    rounded: int = 0
    zoneless: int = 0
    values: dict[tuple[str, str], tuple[Decimal, str]] = field(default_factory=dict)

    def skip(self, reason: str) -> None:
        """Note a row that moves nothing: cancelled, pending, a move within the venue."""
        self.passed[reason] += 1

    def doubt(self, kind: str, symbol: str, place: str, message: str) -> None:
        """Note a row that a person must look at."""
        self.exceptions.append(PnlException(kind, symbol, None, None, f"{place}: {message}"))

    def assume(self, what: str) -> None:
        """Note what was taken to be so."""
        self.assumed.setdefault(what)

    def worth(self, fill_id: str, coin: str, unit: Decimal, currency: str) -> None:
        """Note what the file says that a unit of a coin was worth at a fill."""
        self.values[fill_id, coin] = (unit, currency)


@dataclass(frozen=True)
class Period:
    """First and last time of a file's fills."""

    first: datetime
    last: datetime
