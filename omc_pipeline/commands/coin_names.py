"""The option ``--coin``: what a name in a file means, where the registry of assets can't tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from omc_pipeline.assets.registry import Registry
    from omc_pipeline.imports.symbols import Names

coin_option = click.option(
    "--coin",
    "coins",
    multiple=True,
    metavar="NAME=SYMBOL",
    help="Symbol of a coin's name in the files, such as STX=STOX. Repeatable.",
)


def names_of(coins: Sequence[str]) -> Names:
    """Return what names mean by the option, and by the registry with the user's own assets."""
    from omc_pipeline.imports.symbols import Names, chosen_names

    registry = user_registry()
    return Names(registry, chosen_names(coins, registry))


def user_registry() -> Registry:
    """Return the registry with what ``omc.toml`` adds."""
    from omc_infra.configuration import load_configuration
    from omc_pipeline.assets.configured import configured_registry

    return configured_registry(load_configuration())
