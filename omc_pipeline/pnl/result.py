"""What came of a position, and of several: matches, open lots, gains, findings; amounts are 1e-18 units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from omc_pipeline.pnl.amounts import text_of
from omc_pipeline.pnl.trade import Lot, Matches


class OpenLot(NamedTuple):
    """What is still held of one acquisition, or of the pool."""

    id: str
    qty: int
    cost: int
    acquired_at: datetime | None

    @classmethod
    def of(cls, lot: Lot) -> OpenLot:
        """Freeze what a lot holds now."""
        return cls(lot.trade.id, lot.qty, lot.cost, lot.acquired_at)


@dataclass(frozen=True, slots=True)
class PnlException:
    """Something a person must look at.

    Kinds: ``oversell``, ``missing_price``, ``missing_history``, ``duplicate_fill``, ``unpriced_fee``, ``unknown_fee``, ``invalid_fill``,
    ``unclear_row``, ``two_readings``, ``given_twice``; and for information ``open_short``, ``stale_price``, ``in_transit``.
    """

    kind: str
    symbol: str
    fill: str | None
    qty: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Matching:
    """What a method answers for one position: matches in order of disposal, open lots, units that no lot covered."""

    matches: Matches
    open_lots: Sequence[OpenLot]
    realized: Mapping[str, int]
    unmatched: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PositionResult:
    """One position: all of one symbol in one currency. ``bought`` is the cost of everything ever acquired."""

    symbol: str
    currency: str
    matching: Matching
    bought_qty: int
    bought: int
    sold_qty: int
    fees: int
    income: int
    exceptions: Sequence[PnlException] = field(default_factory=tuple)

    @property
    def qty(self) -> int:
        """Units held."""
        return sum(lot.qty for lot in self.matching.open_lots)

    @property
    def cost(self) -> int:
        """Cost of the units held."""
        return sum(lot.cost for lot in self.matching.open_lots)

    @property
    def proceeds(self) -> int:
        """Net proceeds of what was matched; what was only moved between own accounts brought none."""
        return sum(match.proceeds for match in self.matching.matches if match.rule != "transfer")

    @property
    def gains(self) -> int:
        """Sum of the gains of all matches, before expensed fees."""
        return sum(match.proceeds - match.cost for match in self.matching.matches)

    @property
    def realized(self) -> int:
        """Gains less expensed fees."""
        return self.gains - self.fees


def oversell(symbol: str, sell: str, qty: int, policy: str) -> PnlException:
    """Report units sold that no lot covered."""
    if policy == "short":
        return PnlException(
            "open_short", symbol, sell, qty, f"sell {sell!r}: {text_of(qty)} {symbol} are sold short and not closed; no gain yet"
        )
    outcome = "sold at no cost" if policy == "zero_basis" else "left out of the gain"
    return PnlException("oversell", symbol, sell, qty, f"sell {sell!r}: {text_of(qty)} {symbol} were not held; {outcome}")


def unpriced_fee(coin: str, fill: str, fee: str, currency: str, *, is_gone: bool = False) -> PnlException:
    """Report a fee in a coin, which counts once someone says what it was worth; ``is_gone``: until then the coins left at cost."""
    outcome = "the coins left at cost, without a gain" if is_gone else "it is not counted"
    worth = f"worth in {currency}" if currency else "worth"
    return PnlException("unpriced_fee", coin, fill, None, f"fee of {fee} {coin} on {fill!r}: its {worth} is unknown; {outcome}")


def fill_exception(kind: str, symbol: str, fill: str, qty: int | None, message: str) -> PnlException:
    """Report a fill; the message goes on after its id."""
    return PnlException(kind, symbol, fill, qty, f"fill {fill!r} {message}")
