"""Names of a file's fills into the symbols of the registry of assets, each by the day of its fill; what is not clear is asked about."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType

from omc_infra.errors import BadInputError
from omc_pipeline.assets.asset import Ambiguous, Asset, Unknown
from omc_pipeline.assets.names import clean_ticker
from omc_pipeline.assets.registry import Registry
from omc_pipeline.imports.format import Format
from omc_pipeline.imports.notes import Notes
from omc_pipeline.pnl.fill import FIAT, Fill

_VENUE = re.compile(r"[a-z0-9_]{1,30}", re.ASCII)
_SHOWN = 20
"""Names that one refusal lists."""


def _shipped() -> Registry:
    from omc_pipeline.assets.reading import shipped  # loads the configuration's library, which a file of own trades does without

    return shipped()


@dataclass(frozen=True)
class Names:
    """What names mean: the registry, and before it what a person says about these files.

    Attributes:
        registry: With what the user has added to it.
        chosen: Symbols by the name as files write it, in capitals.
    """

    registry: Registry = field(default_factory=_shipped)
    chosen: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def chosen_names(written: Sequence[str], registry: Registry) -> dict[str, str]:
    """Read ``NAME=SYMBOL`` of the option ``--coin``; a name may stand for itself where the registry doesn't know it.

    Raises:
        BadInputError: It is written otherwise, names no asset, or says two things of one name.
    """
    chosen: dict[str, str] = {}
    for each in written:
        name, equals, symbol = each.partition("=")
        try:
            name, symbol = clean_ticker(name), clean_ticker(symbol)
        except ValueError as error:
            raise BadInputError(f"--coin {each[:60]!a}: write NAME=SYMBOL, such as STX=STOX: {error}") from error
        if not equals or (symbol != name and registry.asset(symbol) is None):
            raise BadInputError(f"--coin {each[:60]!a}: no asset has the symbol {symbol}; `omc assets list` shows them")
        if chosen.setdefault(name, symbol) != symbol:
            raise BadInputError(f"--coin: {name} is said to be {chosen[name]} and {symbol}")
    return chosen


def with_symbols(fills: Sequence[Fill], form: Format, names: Names, notes: Notes) -> list[Fill]:
    """Return fills by the symbols of the registry; a name that changed is noted.

    Raises:
        BadInputError: Names are unknown or of several assets; the message lists them all, and how to say what they mean.
    """
    reader = _Reader(form, names)
    done = [reader.renamed(fill) for fill in fills]
    times = {fill.id: fill.time for fill in fills} if notes.values else {}
    notes.values = {
        (fill_id, reader.symbol(coin, times[fill_id])): (unit, reader.symbol(currency, times[fill_id]))
        for (fill_id, coin), (unit, currency) in notes.values.items()
        if fill_id in times
    }
    if reader.unclear:
        raise BadInputError(_question(reader.unclear, form.venue))
    for name, symbol in sorted(reader.changed):
        notes.assume(f"{name} is {symbol}")
    return done


class _Reader:
    """Symbols by name and day: an alias holds from midnight to midnight, UTC."""

    def __init__(self, form: Format, names: Names) -> None:
        # The trades of OMC itself state its own symbols, so that STX there is the coin of that symbol and not its namesake.
        self._venue = None if form.states_symbols else form.venue.lower()
        self._names = names
        self._known: dict[tuple[str, date], str] = {}
        self.unclear: dict[str, Ambiguous | Unknown] = {}
        self.changed: set[tuple[str, str]] = set()

    def renamed(self, fill: Fill) -> Fill:
        """Return a fill by the symbols of its names; itself where they are the same."""
        symbol, currency = self.symbol(fill.symbol, fill.time), self.symbol(fill.currency, fill.time)
        fee_currency = self.symbol(fill.fee_currency, fill.time)
        if (symbol, currency, fee_currency) == (fill.symbol, fill.currency, fill.fee_currency):
            return fill
        return fill._replace(symbol=symbol, currency=currency, fee_currency=fee_currency)

    def symbol(self, name: str, at: datetime) -> str:
        """Return the symbol of a name; one that is not clear is kept, and returned as it is."""
        key = (name, at.date())
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._looked_up(name, at)
        return known

    def _looked_up(self, name: str, at: datetime) -> str:
        chosen = self._names.chosen.get(name)
        if chosen is not None:
            symbol = chosen
        else:
            found = self._names.registry.resolve(name, self._venue, at)
            if not isinstance(found, Asset):
                if name not in FIAT:
                    self.unclear.setdefault(name, found)
                return name
            symbol = found.symbol
        if symbol != name:
            self.changed.add((name, symbol))
        return symbol


def _question(unclear: Mapping[str, Ambiguous | Unknown], venue: str) -> str:
    listed = list(unclear.items())[:_SHOWN]
    said = [f"{name} is " + (" or ".join(what.symbols) if isinstance(what, Ambiguous) else "unknown") for name, what in listed]
    more = f", and {len(unclear) - _SHOWN} more" if len(unclear) > _SHOWN else ""
    name, what = listed[0]
    symbol = what.symbols[0] if isinstance(what, Ambiguous) else "SYMBOL"
    kept = next((one for one, found in listed if isinstance(found, Unknown)), None)
    ways = [f"--coin {name}={symbol}"]
    if kept is not None:
        ways.append(f"--coin {kept}={kept} to keep a name that no asset has")
    if venue and _VENUE.fullmatch(venue):
        ways.append(f'or for good in omc.toml under [assets.aliases]: "{venue}:{name}" = "{symbol}"')
    return f"names of coins that are not clear: {', '.join(said)}{more}; say what each means: {', '.join(ways)}"
