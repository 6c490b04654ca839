"""What is wrong with a registry; nothing, where it is sound."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

from omc_pipeline.assets.asset import Alias, Asset
from omc_pipeline.assets.registry import Registry


def findings(registry: Registry) -> list[str]:
    """Return a line for each id or symbol that two assets have, each ticker that means two coins at one time, and each dangling name."""
    found: list[str] = []
    for what in ("id", "symbol", "coingecko"):
        seen: dict[str, str] = {}
        for asset in registry.assets:
            value = getattr(asset, what)
            if value and value in seen:
                found.append(f"{what} {value} is of {seen[value]} and of {asset.symbol}")
            seen.setdefault(value, asset.symbol)
    contracts: dict[str, str] = {}
    for asset in registry.assets:
        for contract in asset.contracts:
            if contracts.setdefault(contract, asset.symbol) != asset.symbol:
                found.append(f"contract {contract} is of {contracts[contract]} and of {asset.symbol}")
    return found + _twofold(registry) + _dangling(registry)


def _twofold(registry: Registry) -> list[str]:
    named: dict[tuple[str, str], list[tuple[Alias, Asset]]] = defaultdict(list)
    for asset in registry.assets:
        for alias in asset.aliases:
            named[alias.venue, alias.ticker].append((alias, asset))
    return [
        f"{one} means {asset.symbol} and {other_asset.symbol}"
        for of_ticker in named.values()
        for (one, asset), (other, other_asset) in combinations(of_ticker, 2)
        if asset.symbol != other_asset.symbol and one.overlaps(other)
    ]


def _dangling(registry: Registry) -> list[str]:
    named = [(each.new, f"rename of {each.old}") for each in registry.renames]
    named += [(symbol, f"migration of {each.old}") for each in registry.migrations for symbol in (each.old, each.new)]
    named += [(symbol, f"namesakes {ticker}") for ticker, symbols in registry.namesakes.items() for symbol in symbols]
    return [f"{what} names {symbol}, which is no asset" for symbol, what in named if registry.asset(symbol) is None]
