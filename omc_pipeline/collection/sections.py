"""The configuration's sections of the sources: ``sources.<name>``, each with the model of its source's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from omc_infra.configuration import UnreadSection
from omc_infra.errors import ConfigurationError
from omc_pipeline.assets.configured import configured_registry
from omc_pipeline.collection.discovery import discover
from omc_pipeline.collection.equipment import default_hosts
from omc_pipeline.collection.options import SourceConfig, read_options, with_default_hosts
from omc_pipeline.collection.source import Source

if TYPE_CHECKING:
    from pydantic import BaseModel

    from omc_infra.configuration import Configuration


def section_of(source: Source) -> str:
    """Return the name of a source's section."""
    return f"sources.{source.name}"


def config_models() -> Mapping[str, type[BaseModel]]:
    """Return the model of every source's options by section, the live hosts among their defaults.

    The section of a broken source is not read or validated, so that it doesn't affect other sources.
    """
    found = discover()
    models: dict[str, type[BaseModel]] = {section_of(source): config_model(source) for source in found.sources.values()}
    return {**models, **dict.fromkeys((f"sources.{name}" for name in found.broken), UnreadSection)}


def config_model(source: Source) -> type[SourceConfig]:
    """Return the model of a source's options with its live hosts as defaults; a source without an upstream has no hosts."""
    hosts = default_hosts(source)
    return with_default_hosts(source.config, hosts) if hosts else source.config


def configured_options(source: Source, configuration: Configuration, overrides: Mapping[str, Any] | None = None) -> SourceConfig:
    """Return a source's configured options, with the options that a single run sets.

    Args:
        source: Whose; one that was handed in and is no file among the sources has its defaults.
        configuration: What users have set.
        overrides: Options of one run.

    Raises:
        ConfigurationError: An option of the run is unknown or invalid, or a run can't set it.
    """
    section = section_of(source)
    if section not in configuration.models:
        configuration = replace(configuration, models={**configuration.models, section: config_model(source)})
    if overrides:
        configuration = configuration.overridden(section, overrides)
    options = configuration.section(section)
    if not isinstance(options, SourceConfig):
        raise ConfigurationError(f"section {section} doesn't have the options of a source")
    return options.with_assets(configured_registry(configuration))


def source_config(source: Source, overrides: Mapping[str, Any] | None = None) -> SourceConfig:
    """Return a source's default options with some of them changed.

    Raises:
        BadInputError: An option is unknown or malformed.
    """
    return read_options(source.config, overrides or {}, section_of(source))
