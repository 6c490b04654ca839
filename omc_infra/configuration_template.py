"""Write ``omc.toml`` for a person to edit: every option commented out, with its default and a description.

Prose begins with ``# ``, an option with ``#`` alone. Removing that ``#`` gives a file with the same values as before.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from omc_infra.configuration import LIVE_ONLY, Models
from omc_infra.settings import AT_START, IN_ENVIRONMENT_ONLY, SETTINGS_TABLE, Settings
from omc_infra.toml_file import dotted, literal

_WIDTH = 110
_PREFACE = """\
Configuration of OMC. Every option is listed with its default. To change an option, remove the # before it. An environment variable
OMC_<NAME> overrides an option of [settings]. Passwords and keys of upstreams can be set in the environment only. `omc config check`
reports mistakes; `omc config show` prints the effective values. A running platform uses a change from its next run on.
"""


def template(models: Models) -> str:
    """Return the text of a new file.

    Args:
        models: Sections, by name.
    """
    blocks = [_prose(_PREFACE), *_table((SETTINGS_TABLE,), Settings, hidden=IN_ENVIRONMENT_ONLY)]
    for name, model in models.items():
        blocks += _table(tuple(name.split(".")), model)
    return "\n\n".join(blocks) + "\n"


def shown(value: Any) -> str:
    """Format a JSON value as in the file; an unset value as ``not set``."""
    return "not set" if value is None else literal(_without_none(value))


def _table(keys: tuple[str, ...], model: type[BaseModel], hidden: Collection[str] = (), mark: str = "") -> Iterator[str]:
    """Yield the block of a table, then the blocks of its subtables."""
    defaults, fields = model(), {name: field for name, field in model.model_fields.items() if name not in hidden}
    values = defaults.model_dump(mode="json")
    tables = [name for name in fields if _is_table(getattr(defaults, name))]
    options = [_option(name, fields[name], values[name]) for name in fields if name not in tables]
    yield "\n".join([f"{mark}[{dotted(keys)}]", *options])
    for name in tables:
        yield from _table((*keys, name), type(getattr(defaults, name)), mark="#")


def _is_table(value: object) -> bool:
    """Return whether a default is shown as a table of its own, with a description of each option."""
    return (
        isinstance(value, BaseModel)
        and all(not field.is_required() for field in type(value).model_fields.values())
        and value == type(value)()
    )


def _option(name: str, field: FieldInfo, default: Any) -> str:
    said = [field.description or "", *_remarks(field)]
    if default is None:
        return _prose(" ".join([*said, f"{name}: not set."]))
    return f"{_prose(' '.join(said))}\n#{dotted([name])} = {literal(_without_none(default))}"


def _remarks(field: FieldInfo) -> Iterator[str]:
    extra = field.json_schema_extra
    if extra == AT_START:
        yield "A running platform uses a change after its next start."
    if isinstance(extra, Mapping) and LIVE_ONLY.items() <= extra.items():
        yield "Used in the live profile only."


def _prose(text: str) -> str:
    return "\n".join(f"# {line}" for line in textwrap.wrap(" ".join(text.split()), _WIDTH))


def _without_none(value: Any) -> Any:
    """Remove unset nested values, because TOML has no null."""
    if isinstance(value, Mapping):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value] if isinstance(value, list) else value
