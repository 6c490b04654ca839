"""The page of settings: every variable, and the sections of ``omc.toml`` that belong to no source."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from generator.page import code, prose, table
from omc_infra.configuration import contributed_models
from omc_infra.configuration_template import shown
from omc_infra.settings import AT_START, IN_ENVIRONMENT_ONLY, Settings

SETTING_HEAD = ("variable", "default", "allowed", "where", "meaning")
OPTION_HEAD = ("option", "default", "allowed", "meaning")


def block() -> str:
    """Return the table of variables, then a table for each section that belongs to no source."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    parts = [table(SETTING_HEAD, rows)]
    for name, model in contributed_models().items():
        if not name.startswith("sources."):
            parts += [f"## `[{name}]`", prose(model.__doc__), options(model)]
    return "\n\n".join(parts)


def options(model: type[BaseModel]) -> str:
    """Return a table of a section's options."""
    defaults = model().model_dump(mode="json")
    rows = [
        (code(name), code(shown(defaults[name])), allowed(model, name), field.description or "")
        for name, field in model.model_fields.items()
    ]
    return table(OPTION_HEAD, rows)


def allowed(model: type[BaseModel], name: str) -> str:
    """Return the values that a field takes, in words; empty where its type says nothing a person can use."""
    schema = model.model_json_schema()["properties"].get(name, {})
    branches = [branch for branch in schema.get("anyOf", [schema]) if branch.get("type") != "null"]
    return "; ".join(filter(None, map(_words, branches)))


def _words(schema: Mapping[str, object]) -> str:
    if isinstance(choices := schema.get("enum"), list):
        return ", ".join(code(choice) for choice in choices)
    bounds = (("minimum", "at least"), ("exclusiveMinimum", "more than"), ("maximum", "at most"), ("exclusiveMaximum", "less than"))
    said = [f"{word} {_number(schema[key])}" for key, word in bounds if key in schema]
    if pattern := schema.get("pattern"):
        said.append(f"like `{pattern}`")
    if said and schema.get("type") == "integer":
        said.insert(0, "whole number")
    return ", ".join(said)


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)


def _row(name: str, field: FieldInfo) -> tuple[str, str, str, str, str]:
    variable = "OMC_KEY_<NAME>" if name == "keys" else f"OMC_{name.upper()}"
    where = "environment" if name in IN_ENVIRONMENT_ONLY else "environment, file"
    when = "; at the next start" if field.json_schema_extra == AT_START else ""
    return code(variable), _default(name, field), allowed(Settings, name), f"{where}{when}", field.description or ""


def _default(name: str, field: FieldInfo) -> str:
    if name == "home":
        return "`.omc` in the checkout"
    return "unset" if field.default in (None, "") or name == "keys" else code(field.default)
