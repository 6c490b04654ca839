"""Names to assets and back. Pure: no clock, file or network; a look-up takes some microseconds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time

from omc_pipeline.assets.asset import Ambiguous, Asset, Migration, Rename, Resolved, Unknown
from omc_pipeline.assets.names import clean_ticker

ANY = "*"
_Span = tuple[datetime | None, datetime | None, Asset]
_NEVER: Sequence[re.Pattern[str]] = ()


class Registry:
    """Assets by all their names.

    Args:
        assets: With unique ids and symbols; an alias that two have at one time is ambiguous.
        renames: Which tickers became which.
        migrations: Which coins were replaced by others.
        namesakes: Symbols by a ticker that several coins have.
        venues: The venues whose tickers are known, each with the patterns of names of what is staked or locked there.
    """

    def __init__(
        self,
        assets: Sequence[Asset],
        renames: Sequence[Rename] = (),
        migrations: Sequence[Migration] = (),
        namesakes: Mapping[str, Sequence[str]] | None = None,
        venues: Mapping[str, Sequence[re.Pattern[str]]] | None = None,
    ) -> None:
        self.assets, self.renames, self.migrations = tuple(assets), tuple(renames), tuple(migrations)
        self.namesakes = {ticker: tuple(symbols) for ticker, symbols in (namesakes or {}).items()}
        self.venues = dict(venues or {})
        self._by_symbol = {asset.symbol: asset for asset in self.assets}
        self._by_name: dict[str, list[Asset]] = defaultdict(list)
        self._by_contract, self._by_coingecko = dict[str, Asset](), dict[str, Asset]()
        spans: dict[tuple[str, str], list[_Span]] = defaultdict(list)
        for asset in self.assets:
            for name in {asset.id, asset.name.casefold()}:
                self._by_name[name].append(asset)
            self._by_contract.update({contract: asset for contract in asset.contracts if contract not in self._by_contract})
            if asset.coingecko:
                self._by_coingecko.setdefault(asset.coingecko, asset)
            for alias in asset.aliases:
                spans[alias.venue, alias.ticker].append((_midnight(alias.since), _midnight(alias.until), asset))
        self._spans = {key: tuple(of_key) for key, of_key in spans.items()}

    def resolve(self, name: str, venue: str | None = None, at: datetime | None = None) -> Resolved:
        """Return what a name means.

        Args:
            name: A ticker of the venue. Without a venue: a unique symbol, ``VENUE:TICKER``, ``coingecko:id``, ``chain:address``, a common
                ticker, an id, or a full name.
            venue: Lower case; tickers of one that isn't known here are taken as common ones.
            at: When the name was used; tickers change hands. None: a ticker that did is ambiguous, a unique symbol is not.

        Returns:
            The asset, or a value that says that there is none or more than one. Names that imitate a ticker are unknown.
        """
        try:
            ticker = name if name in self._by_symbol else clean_ticker(name)
        except ValueError:
            return self._named(name, at) if venue is None else Unknown(name, venue, at)
        if venue is None:
            return self._by_symbol.get(ticker) or self._common(ticker, name, None, at) or self._named(name, at)
        return self._at_venue(ticker, venue, at) or Unknown(ticker, venue, at)

    def symbol_of(self, venue: str, ticker: str, at: datetime | None = None) -> str:
        """Return the symbol to store for a venue's ticker: the unique one, or ``VENUE:TICKER`` where that is unknown or ambiguous.

        Raises:
            ValueError: The ticker imitates another one, or is none (see ``clean_ticker``).
        """
        cleaned = clean_ticker(ticker)
        found = self._at_venue(cleaned, venue, at)
        return found.symbol if isinstance(found, Asset) else f"{venue.upper()}:{cleaned}"

    def asset(self, symbol: str) -> Asset | None:
        """Return the asset of a unique symbol."""
        return self._by_symbol.get(symbol)

    def of_contract(self, chain: str, address: str) -> Asset | None:
        """Return the asset of a contract."""
        return self._by_contract.get(_contract(chain, address))

    def of_price_id(self, price_id: str) -> Asset | None:
        """Return the asset of DefiLlama's id of a price, ``coingecko:bitcoin`` or ``ethereum:0x..``."""
        space, _, rest = price_id.partition(":")
        return self._by_coingecko.get(rest) if space == "coingecko" else self.of_contract(space, rest)

    def ticker_of(self, venue: str, symbol: str) -> str:
        """Return the ticker by which a venue names an asset today: its first alias there without an end, else the symbol."""
        asset = self._by_symbol.get(symbol)
        of_venue = (alias.ticker for alias in (asset.aliases if asset else ()) if alias.venue == venue and alias.until is None)
        return next(of_venue, symbol.removeprefix(f"{venue.upper()}:"))

    def price_ids(self, symbols: Iterable[str]) -> dict[str, str]:
        """Return symbols by DefiLlama's id, of those that have one, in order."""
        found = ((self._by_symbol[symbol].price_id, symbol) for symbol in symbols if symbol in self._by_symbol)
        return {price_id: symbol for price_id, symbol in found if price_id is not None}

    def title_words(self) -> dict[str, tuple[str, ...]]:
        """Return the words by which titles name coins, by symbol."""
        return {asset.symbol: asset.words for asset in self.assets if asset.words}

    def _at_venue(self, ticker: str, venue: str, at: datetime | None) -> Asset | Ambiguous | None:
        spans = self._spans.get((venue, ticker))
        if spans is not None:
            found = _held(spans, at)
            if found:
                return found[0] if len(found) == 1 else Ambiguous(ticker, venue, at, tuple(asset.symbol for asset in found))
        return self._common(ticker, ticker, venue, at) or self._wrapped(ticker, venue, at)

    def _common(self, ticker: str, name: str, venue: str | None, at: datetime | None) -> Asset | Ambiguous | None:
        if ticker in self.namesakes:
            return Ambiguous(name, venue, at, self.namesakes[ticker])
        spans = self._spans.get((ANY, ticker))
        if spans is None:
            return self._by_symbol.get(ticker)
        found = _held(spans, at)
        if len(found) > 1:
            return Ambiguous(name, venue, at, tuple(asset.symbol for asset in found))
        return found[0] if found else None

    def _wrapped(self, ticker: str, venue: str, at: datetime | None) -> Asset | Ambiguous | None:
        """Return the coin that a venue's name for its staked, locked or held units speaks of."""
        for pattern in self.venues.get(venue, _NEVER):
            match = pattern.fullmatch(ticker)
            found = self._at_venue(match.group(1), venue, at) if match and match.group(1) != ticker else None
            if found is not None:
                return found
        return None

    def _named(self, name: str, at: datetime | None) -> Resolved:
        space, colon, rest = name.strip().partition(":")
        if colon:
            found = self.of_price_id(f"{space.lower()}:{rest}")
            return found or (self.resolve(rest, space.lower(), at) if space.lower() in self.venues else Unknown(name, None, at))
        known = self._by_name.get(space.casefold(), [])
        if len(known) > 1:
            return Ambiguous(name, None, at, tuple(asset.symbol for asset in known))
        return known[0] if known else Unknown(name, None, at)


def _held(spans: tuple[_Span, ...], at: datetime | None) -> list[Asset]:
    """Return the different assets that a ticker named at a time, or ever."""
    if len(spans) == 1 and spans[0][0] is None and spans[0][1] is None:
        return [spans[0][2]]
    found: dict[str, Asset] = {}
    for since, until, asset in spans:
        if at is None or ((since is None or since <= at) and (until is None or at < until)):
            found.setdefault(asset.symbol, asset)
    return list(found.values())


def _contract(chain: str, address: str) -> str:
    lower = address.lower()
    return f"{chain.lower()}:{lower if lower.startswith('0x') else address}"


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)
