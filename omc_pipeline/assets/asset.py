"""What the registry holds, and what it returns for a name: an asset, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Alias:
    """A ticker by which a venue (``*``: any) names an asset from a day until before another one; None: without a limit."""

    venue: str
    ticker: str
    since: date | None = None
    until: date | None = None

    def overlaps(self, other: Alias) -> bool:
        """Whether there is a day on which both hold."""
        return (self.since is None or other.until is None or self.since < other.until) and (
            other.since is None or self.until is None or other.since < self.until
        )

    def __str__(self) -> str:
        """Write the alias as the data file does."""
        span = "" if self.since is None and self.until is None else f"@{self.since or ''}..{self.until or ''}"
        return f"{self.venue}:{self.ticker}{span}"


@dataclass(frozen=True, slots=True)
class Asset:
    """A coin, token or money.

    Attributes:
        id: Never changes.
        symbol: Unique; what the ledgers store.
        name: As people write it.
        is_money: Issued by a state, never a holding with lots.
        coingecko: Its CoinGecko id; None where it has none.
        aliases: Other tickers.
        contracts: ``chain:address``.
        words: By which titles name it; one in capitals counts in capitals only.
        is_own: Added by the user.
    """

    id: str
    symbol: str
    name: str
    is_money: bool = False
    coingecko: str | None = None
    aliases: tuple[Alias, ...] = ()
    contracts: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    is_own: bool = False

    @property
    def price_id(self) -> str | None:
        """DefiLlama's id of its price: that of CoinGecko, else of its first contract; None where it has neither."""
        if self.coingecko:
            return f"coingecko:{self.coingecko}"
        return self.contracts[0] if self.contracts else None


@dataclass(frozen=True, slots=True)
class Rename:
    """The same coin under another ticker, one for one; ``on`` is None where the day is not known."""

    old: str
    new: str
    on: date | None


@dataclass(frozen=True, slots=True)
class Migration:
    """Holders of ``old_units`` of one coin got ``new_units`` of another."""

    old: str
    new: str
    on: date
    old_units: Decimal
    new_units: Decimal


@dataclass(frozen=True, slots=True)
class Unknown:
    """No asset has that name."""

    name: str
    venue: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several assets have that name, and nothing that was asked tells which is meant."""

    name: str
    venue: str | None
    at: datetime | None
    symbols: tuple[str, ...]


Resolved = Asset | Unknown | Ambiguous
