"""The registry as a loaded configuration has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omc_infra.errors import ConfigurationError
from omc_pipeline.assets.reading import registry_with, shipped
from omc_pipeline.assets.section import SECTION, AssetsConfig

if TYPE_CHECKING:
    from omc_infra.configuration import Configuration
    from omc_pipeline.assets.registry import Registry


def configured_registry(configuration: Configuration) -> Registry:
    """Return the registry with what users have added in ``omc.toml``.

    Raises:
        ConfigurationError: The ticker of an alias there is none.
    """
    if SECTION not in configuration.models:
        return shipped()
    config = configuration.section(SECTION)
    if not isinstance(config, AssetsConfig):
        raise ConfigurationError(f"section {SECTION} has no assets")
    try:
        return registry_with(config)
    except ValueError as error:
        raise ConfigurationError(f"{configuration.file.path}: {error}") from None
