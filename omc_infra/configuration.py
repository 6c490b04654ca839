"""The configuration in ``omc.toml``: settings, and sections that packages contribute as pydantic models.

A package has an entry point in the group ``omc.config``: a function that returns its models by section name;
``sources.glass_defillama`` is the table ``[sources.glass_defillama]``. A section is complete without the file: every option has a
default. Nothing is cached, so a run that loads the configuration at its start reads the current file.

Not here: the meaning of sections. This module knows no section by name.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, SecretBytes, SecretStr
from pydantic_core import to_jsonable_python

from omc_infra.errors import BadInputError, ConfigurationError
from omc_infra.mistakes import allowed, complaints, looks_secret
from omc_infra.settings import SETTINGS_TABLE, Settings, find_file, read_settings
from omc_infra.toml_file import TomlFile

CONFIG_GROUP = "omc.config"
LIVE_ONLY: dict[str, Any] = {"live_only": True}
"""Marks an option, ``Field(json_schema_extra=LIVE_ONLY)``, that the file sets for the live profile only: a host, for instance. A run
can't override it either."""
FILE_ONLY: dict[str, Any] = {"file_only": True}
"""Marks an option that a single run can't override: limits, for instance."""

Models = Mapping[str, type[BaseModel]]
_Model = TypeVar("_Model", bound=BaseModel)


class Section(BaseModel):
    """Base of sections: frozen, refuses unknown keys, infinity and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class UnreadSection(BaseModel):
    """A section whose package can't be loaded: its options are not read, and anything is allowed in it."""

    model_config = ConfigDict(frozen=True, extra="allow")


def lone_section(settings: Settings, name: str, model: type[_Model]) -> _Model:
    """Return a section as the configuration file of some settings has it, without a look at the other sections.

    It takes a hundredth of the time of ``load_configuration``, for what is read every second.

    Raises:
        ConfigurationError: It is wrong; the message names file and line.
    """
    file = find_file(settings.environ())
    table = file.document.get(name, {})
    found = complaints(model, table, file, [name]) if isinstance(table, Mapping) else [f"{file.place([name])}: must be a table"]
    if found:
        raise ConfigurationError("; ".join(found))
    return model.model_validate(table)


@dataclass(frozen=True)
class Configuration:
    """Settings and sections as they were when they were loaded.

    Attributes:
        settings: The settings of environment and file.
        file: The file, which may not exist.
        models: All sections.
        tables: Options by section from the file, and those that a run overrides.
    """

    settings: Settings
    file: TomlFile
    models: Models
    tables: Mapping[str, Mapping[str, Any]]

    def section(self, name: str) -> BaseModel:
        """Return a section. Options that are not in the file, and in the sandbox those for live only, have their defaults.

        Raises:
            BadInputError: There is no such section.
        """
        model, ignored = self._model(name), self.ignored(name)
        return model.model_validate({key: value for key, value in self.tables.get(name, {}).items() if key not in ignored})

    def digest(self, name: str) -> str:
        """Return the SHA-256, in hexadecimal, of a section's effective values as canonical JSON."""
        document = json.dumps(_canonical(self.section(name)), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(document.encode()).hexdigest()

    def origin(self, name: str, option: str) -> Literal["default", "file"]:
        """Return where the effective value of a section's option comes from."""
        return "file" if option in self.tables.get(name, {}) and option not in self.ignored(name) else "default"

    def ignored(self, name: str) -> frozenset[str]:
        """Return the options in the file that have no effect because the profile is the sandbox."""
        if self.settings.profile == "live":
            return frozenset()
        return frozenset(key for key in self.tables.get(name, {}) if _marked(self._model(name), key, LIVE_ONLY))

    def overridden(self, name: str, options: Mapping[str, Any]) -> Configuration:
        """Return the configuration with other options for one section, for a single run.

        Raises:
            ConfigurationError: An option is unknown or invalid, or can't be overridden.
        """
        model = self._model(name)
        fixed = sorted(key for key in options if _marked(model, key, LIVE_ONLY) or _marked(model, key, FILE_ONLY))
        if fixed:
            raise ConfigurationError(f"{name}: a run can't override {', '.join(fixed)}; change {self.file.path} instead")
        table = {**self.tables.get(name, {}), **options}
        found = complaints(model, table, TomlFile(self.file.path.with_name("run config")), name.split("."))
        if found:
            raise ConfigurationError("; ".join(found))
        return replace(self, tables={**self.tables, name: table})

    def _model(self, name: str) -> type[BaseModel]:
        if name not in self.models:
            raise BadInputError(f"no section '{name}'; {allowed(self.models)}")
        return self.models[name]


def load_configuration(environ: Mapping[str, str] | None = None, models: Models | None = None) -> Configuration:
    """Read settings and file, and validate every section.

    Args:
        environ: Variables to read instead of the process's own.
        models: Sections to use instead of the contributed ones.

    Raises:
        ConfigurationError: A variable, a section or a key is unknown or malformed; the message names each with file and line.
    """
    source = os.environ if environ is None else environ
    file = find_file(source)
    sections = contributed_models() if models is None else checked_models(models)
    settings = read_settings(source, file)
    tables, mistakes = _tables(file, sections)
    for name, table in tables.items():
        mistakes += complaints(sections[name], table, file, name.split("."))
    if mistakes:
        raise ConfigurationError("; ".join(mistakes))
    return Configuration(settings, file, sections, tables)


def contributed_models() -> Models:
    """Collect the sections of all packages, sorted by name.

    Raises:
        ConfigurationError: Two packages contribute the same section, or a model is invalid.
    """
    found: dict[str, type[BaseModel]] = {}
    for entry in sorted(entry_points(group=CONFIG_GROUP), key=lambda each: each.name):
        contribute: Callable[[], Models] = entry.load()
        models = contribute()
        if twice := found.keys() & models.keys():
            raise ConfigurationError(f"{entry.value}: section {', '.join(sorted(twice))} exists already")
        found.update(models)
    return checked_models(found)


def checked_models(models: Models) -> Models:
    """Check that models can be used as sections, and sort them by name.

    Raises:
        ConfigurationError: A model isn't frozen, takes unknown keys, holds secrets or has an option without default; or a section
            stands in another.
    """
    for name, model in models.items():
        if model is UnreadSection:
            continue
        if not model.model_config.get("frozen") or model.model_config.get("extra") != "forbid":
            raise ConfigurationError(f"section {name}: {model.__name__} must be frozen and forbid unknown keys; derive it from Section")
        for key, field in model.model_fields.items():
            if field.is_required():
                raise ConfigurationError(f"section {name}: {key} has no default")
            if {SecretStr, SecretBytes} & {field.annotation, *get_args(field.annotation)}:
                raise ConfigurationError(f"section {name}: {key} is a secret; secrets are not allowed in a file")
        if name == SETTINGS_TABLE or any(each.startswith(f"{name}.") for each in models):
            raise ConfigurationError(f"section {name}: another table has this name")
    return dict(sorted(models.items()))


def _tables(file: TomlFile, models: Models) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Split the document into the tables of the sections, and describe entries that belong to no section."""
    tables: dict[str, Mapping[str, Any]] = {}
    mistakes: list[str] = []

    def visit(table: Mapping[str, Any], at: tuple[str, ...]) -> None:
        for key, value in table.items():
            keys = (*at, key)
            name = ".".join(keys)
            is_group = any(model.startswith(f"{name}.") for model in models)
            if not is_group and name not in models:
                if name != SETTINGS_TABLE:
                    mistakes.append(_unknown(file, keys, value, models))
            elif not isinstance(value, Mapping):
                mistakes.append(f"{file.place(keys)}: must be a table")
            elif is_group:
                visit(value, keys)
            else:
                tables[name] = value

    visit(file.document, ())
    return tables, mistakes


def _unknown(file: TomlFile, keys: tuple[str, ...], value: object, models: Models) -> str:
    if looks_secret(keys[-1]):
        return f"{file.place(keys)}: looks like a secret; set keys of upstreams in the environment as OMC_KEY_<NAME>, not in this file"
    if not isinstance(value, Mapping) and keys[0] in Settings.model_fields:
        return f"{file.place(keys)}: settings belong in the table [{SETTINGS_TABLE}]"
    return f"{file.place(keys)}: no such section; {allowed([SETTINGS_TABLE, *models])}"


def _marked(model: type[BaseModel], option: str, mark: Mapping[str, Any]) -> bool:
    field = model.model_fields.get(option)
    extra = field.json_schema_extra if field else None
    return isinstance(extra, Mapping) and mark.items() <= extra.items()


def _canonical(value: Any) -> Any:
    """Convert a value to canonical JSON data: sets sorted, keys as text."""
    if isinstance(value, BaseModel):
        return {name: _canonical(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(to_jsonable_python(key)): _canonical(inner) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_canonical(inner) for inner in value), key=json.dumps)
    if isinstance(value, list | tuple):
        return [_canonical(inner) for inner in value]
    return to_jsonable_python(value)
