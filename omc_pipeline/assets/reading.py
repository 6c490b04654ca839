"""The data file as a registry, with what a user adds in ``omc.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Any

from omc_pipeline.assets.asset import Alias, Asset, Migration, Rename
from omc_pipeline.assets.names import clean_ticker
from omc_pipeline.assets.registry import ANY, Registry
from omc_pipeline.assets.section import AssetsConfig

_ALIAS = re.compile(r"([a-z0-9_]{1,30}|\*):([^@]{1,40})(?:@(\d{4}-\d{2}-\d{2})?\.\.(\d{4}-\d{2}-\d{2})?)?", re.ASCII)


@lru_cache(maxsize=1)
def shipped() -> Registry:
    """Return the registry of the data file alone."""
    document = tomllib.loads(files(__package__).joinpath("assets.toml").read_text("utf-8"))
    return Registry(
        [_asset(name, details) for name, details in document["assets"].items()],
        [Rename(each["old"], each["new"], each.get("on")) for each in document["renames"]],
        [_migration(each) for each in document["migrations"]],
        document["namesakes"],
        {venue: tuple(re.compile(each, re.ASCII) for each in of.get("wrapped", ())) for venue, of in document["venues"].items()},
    )


def registry_with(config: AssetsConfig) -> Registry:
    """Return the shipped registry with a user's assets and aliases, which go before its own.

    Raises:
        ValueError: The ticker of an alias is none.
    """
    return _with(config.model_dump_json())


@lru_cache(maxsize=8)
def _with(document: str) -> Registry:
    config, base = AssetsConfig.model_validate_json(document), shipped()
    if not config.own and not config.aliases:
        return base
    own = {symbol: Asset(symbol.lower(), symbol, each.name, coingecko=each.coingecko or None, contracts=each.contracts, is_own=True)
           for symbol, each in config.own.items()}  # fmt: skip
    assets = {**own, **{asset.symbol: asset for asset in base.assets if asset.symbol not in own}}
    mapped: set[tuple[str, str]] = set()
    for written, symbol in config.aliases.items():
        alias = read_alias(written)
        assets[symbol] = replace(assets[symbol], aliases=(alias, *assets[symbol].aliases))
        mapped.add((alias.venue, alias.ticker))
    mine = {(symbol, str(read_alias(written))) for written, symbol in config.aliases.items()}
    kept = [replace(asset, aliases=tuple(_kept(asset, mapped, mine))) for asset in assets.values()]
    venues = {**base.venues, **{venue: base.venues.get(venue, ()) for venue, _ in mapped if venue != ANY}}
    return Registry(kept, base.renames, base.migrations, base.namesakes, venues)


def _kept(asset: Asset, mapped: set[tuple[str, str]], mine: set[tuple[str, str]]) -> list[Alias]:
    """Leave out shipped aliases of a ticker that the user has mapped."""
    return [alias for alias in asset.aliases if (alias.venue, alias.ticker) not in mapped or (asset.symbol, str(alias)) in mine]


def read_alias(written: str) -> Alias:
    """Read ``venue:TICKER`` or ``venue:TICKER@from..until``.

    Raises:
        ValueError: It is written otherwise, or its ticker is none.
    """
    match = _ALIAS.fullmatch(written)
    if match is None:
        raise ValueError(f'{written[:60]!r} is not an alias like "coinspot:BCC" or "coinspot:LUNA@..2022-05-28"')
    venue, ticker, since, until = match.groups()
    return Alias(venue, clean_ticker(ticker), _day(since), _day(until))


def _asset(name: str, details: Mapping[str, Any]) -> Asset:
    is_money = bool(details.get("money"))
    return Asset(
        id=name,
        symbol=details["symbol"],
        name=details["name"],
        is_money=is_money,
        coingecko=None if is_money else details.get("coingecko", name) or None,
        aliases=tuple(read_alias(each) for each in details.get("aliases", ())),
        contracts=tuple(details.get("contracts", ())),
        words=tuple(details.get("words", ())),
    )


def _migration(details: Mapping[str, Any]) -> Migration:
    old_units, new_units = (Decimal(part) for part in details["ratio"].split(":"))
    return Migration(details["old"], details["new"], details["on"], old_units, new_units)


def _day(written: str | None) -> date | None:
    return None if written is None else date.fromisoformat(written)
