"""What the engine takes and gives: trades in, matches and open lots out; amounts are 1e-18 units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, overload

from omc_pipeline.pnl.kinds import PAIRED, Kind
from omc_pipeline.pnl.split import remaining_share

Side = Literal["buy", "sell"]
POOL = "pool"
"""Id of the one lot that averaging methods hold."""


class Trade(NamedTuple):
    """One acquisition or disposal, its money settled.

    ``money`` is the cost of a buy or the proceeds of a sell; ``fee`` is what the policy expenses beside it; ``income`` is the
    market value where the coins were earned rather than bought. ``price`` compares lots: 1e-36 units, without fee. ``account``
    is where it happened, ``to_account`` where a transfer arrives, ``algorithm`` who decided on it. ``sequence`` orders trades of one
    instant where a venue or a file says so, 0 elsewhere. ``acquired_at`` is when coins were acquired that came by a migration.
    """

    id: str
    symbol: str
    currency: str
    time: datetime
    side: Side
    qty: int
    money: int
    price: int = 0
    fee: int = 0
    income: int = 0
    kind: Kind = "trade"
    account: str = ""
    to_account: str = ""
    algorithm: str | None = None
    sequence: int = 0
    acquired_at: datetime | None = None


def in_order(trades: Iterable[Trade]) -> list[Trade]:
    """Sort trades by time, then by their sequence; where that is the same, buys come before sells, then the id decides.

    What takes the place of coins that left (a migration, a claim that they are worth nothing) comes after they left.
    """
    return sorted(
        trades, key=lambda trade: (trade.time, trade.sequence, trade.kind in PAIRED and trade.side == "buy", trade.side, trade.id)
    )


class Lot:
    """What is left of an acquisition; the engine takes from it until nothing remains."""

    __slots__ = ("acquired_at", "cost", "qty", "trade")

    def __init__(self, trade: Trade) -> None:
        self.trade = trade
        self.qty = trade.qty
        self.cost = trade.money
        self.acquired_at: datetime | None = trade.acquired_at or trade.time

    def take(self, qty: int) -> int:
        """Take units, at most those that are left, and answer their cost."""
        self.qty -= qty
        before = self.cost
        self.cost = remaining_share(self.trade.money, self.qty, self.trade.qty)
        return before - self.cost


class Match(NamedTuple):
    """A piece of a disposal and the lot it came from; ``lot`` is None where it was sold at no cost for want of a lot."""

    sell: str
    lot: str | None
    qty: int
    cost: int
    proceeds: int
    acquired_at: datetime | None
    disposed_at: datetime
    rule: str | None = None

    @property
    def gain(self) -> int:
        """Proceeds less cost."""
        return self.proceeds - self.cost


Piece = tuple[str, str | None, int, int, int, datetime | None, datetime, str | None]
"""The fields of a ``Match`` without its name."""


class Matches(Sequence[Match]):
    """Matches kept as bare tuples of plain values and named when they are read.

    The collector of reference cycles lets go of such tuples and keeps walking over named ones: with a million of them the
    engine ran at half its speed (measured with Python 3.11).
    """

    __slots__ = ("_pieces",)

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces

    @property
    def pieces(self) -> Sequence[Piece]:
        """The bare tuples."""
        return self._pieces

    def __len__(self) -> int:
        return len(self._pieces)

    def __iter__(self) -> Iterator[Match]:
        return map(Match._make, self._pieces)

    @overload
    def __getitem__(self, index: int) -> Match: ...
    @overload
    def __getitem__(self, index: slice) -> Matches: ...
    def __getitem__(self, index: int | slice) -> Match | Matches:
        if isinstance(index, slice):
            return Matches(self._pieces[index])
        return Match._make(self._pieces[index])
