"""All that a report is made of: one user's trades, matches, open lots and prices in one currency, as plain values."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from omc_pipeline.pnl.amounts import market_value
from omc_pipeline.pnl.kinds import AT_COST
from omc_pipeline.pnl.policy import FeePolicy, Method, OversellPolicy
from omc_pipeline.pnl.result import PnlException, PositionResult
from omc_pipeline.pnl.trade import Trade


class MatchRow(NamedTuple):
    """One piece of a disposal with its coin, who decided on it and the account that sold; amounts are 1e-18 units.

    ``lot`` is None where units were sold at no cost for want of a lot; ``acquired_at`` is None there and for pools.
    """

    symbol: str
    sell: str
    lot: str | None
    qty: int
    cost: int
    proceeds: int
    acquired_at: datetime | None
    disposed_at: datetime
    rule: str | None = None
    bought_by: str | None = None
    sold_by: str | None = None
    account: str = ""

    @property
    def gain(self) -> int:
        """Proceeds less cost."""
        return self.proceeds - self.cost

    @property
    def held_qty(self) -> int:
        """Units that left what was held: none where no lot covered them."""
        return 0 if self.lot is None else self.qty

    @property
    def is_sale(self) -> bool:
        """Whether anything was realized; what merely left at its own cost closed no trade."""
        return self.rule not in AT_COST


class OpenLotRow(NamedTuple):
    """What is still held of one acquisition."""

    symbol: str
    lot: str
    qty: int
    cost: int
    acquired_at: datetime | None


class FillRow(NamedTuple):
    """What was traded at which price, before any fee, and the fee where it is known in the currency; in units of money."""

    symbol: str
    at: datetime
    price: int
    amount: int
    fee: int


class PricePoint(NamedTuple):
    """What one coin was worth at a time, in 1e-18 units of the currency, and who said so."""

    at: datetime
    price: int
    source: str


OWN_TRADE = "own trade"
"""Source of a price that the user's own execution gave."""


class RunKnew(NamedTuple):
    """The computation that a record comes from, and what the ledger has learned since.

    ``known_at`` is when the newest fill it knew was recorded, ``input_sha256`` the digest of all that it knew, ``priced_at`` the time up
    to which quotes were known.
    """

    run: int
    known_at: datetime | None
    input_sha256: str
    fills: int
    priced_at: datetime
    fills_since: int


@dataclass(frozen=True, slots=True)
class Record:
    """One user's computed positions in one currency.

    Args:
        user: Whose.
        profile: Of the database they come from: ``sandbox`` or ``live``.
        method: How sells found their lots.
        fee_policy: Where fees went.
        oversell_policy: What became of units sold that were not held.
        currency: Of all money here.
        trades: In order of time.
        matches: In order of disposal, without moves between the user's own accounts.
        open_lots: Held now.
        fills: In order of time.
        prices: History by coin, oldest first; may be empty.
        marks: The valuation that holds now, by coin; a held coin that is not here has no price.
        exceptions: What needs a person's eye.
        tax_zone: Whose days and tax year the tax view goes by.
        knew: The run it comes from; None where it comes from no ledger.
    """

    user: str
    profile: str
    method: Method
    fee_policy: FeePolicy
    oversell_policy: OversellPolicy
    currency: str
    trades: Sequence[Trade]
    matches: Sequence[MatchRow]
    open_lots: Sequence[OpenLotRow]
    fills: Sequence[FillRow] = ()
    prices: Mapping[str, Sequence[PricePoint]] = field(default_factory=dict)
    marks: Mapping[str, PricePoint] = field(default_factory=dict)
    exceptions: Sequence[PnlException] = ()
    tax_zone: str = "Australia/Sydney"
    knew: RunKnew | None = None

    @property
    def symbols(self) -> list[str]:
        """Coins that were ever traded, sorted."""
        return sorted({trade.symbol for trade in self.trades} | {match.symbol for match in self.matches})

    @property
    def first_at(self) -> datetime | None:
        """Time of the first trade, or None where there is none."""
        return min((trade.time for trade in self.trades), default=None)

    @property
    def last_at(self) -> datetime | None:
        """Time of the last thing known: a trade, a sale, or the price that values what is held."""
        times = [trade.time for trade in self.trades] + [match.disposed_at for match in self.matches]
        return max([*times, *(mark.at for mark in self.marks.values())], default=None)


def price_before(points: Sequence[PricePoint], end: datetime) -> PricePoint | None:
    """Return the last price before an instant, or None where there is none; ``points`` are oldest first."""
    at = bisect_left(points, end, key=lambda point: point.at)
    return points[at - 1] if at else None


def value_of(qty: int, point: PricePoint | None) -> int | None:
    """Value units at a price: nothing is worth 0, something without a price is worth unknown."""
    if not qty:
        return 0
    return None if point is None else market_value(qty, point.price)


def with_own_trades(quotes: Mapping[str, Sequence[PricePoint]], fills: Iterable[FillRow]) -> dict[str, list[PricePoint]]:
    """Merge prices of quotes with those of the user's own executions, oldest first; at one instant the quote comes last, so it wins."""
    points: dict[str, list[PricePoint]] = {}
    for fill in fills:
        if fill.price:
            points.setdefault(fill.symbol, []).append(PricePoint(fill.at, fill.price, OWN_TRADE))
    for symbol, quoted in quotes.items():
        points.setdefault(symbol, []).extend(quoted)
    return {symbol: sorted(found, key=lambda point: point.at) for symbol, found in points.items()}


def rows_of(positions: Iterable[PositionResult]) -> tuple[list[MatchRow], list[OpenLotRow]]:
    """Return the matches, in order of disposal, and the open lots of positions that were just computed."""
    matches, lots = [], []
    for position in positions:
        matches += [
            MatchRow(position.symbol, m.sell, m.lot, m.qty, m.cost, m.proceeds, m.acquired_at, m.disposed_at, m.rule)
            for m in position.matching.matches
            if m.rule != "transfer"
        ]
        lots += [OpenLotRow(position.symbol, lot.id, lot.qty, lot.cost, lot.acquired_at) for lot in position.matching.open_lots]
    return sorted(matches, key=lambda match: (match.disposed_at, match.symbol, match.sell)), lots
