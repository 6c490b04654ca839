"""Say what is wrong with a table of a file: one line a mistake, with file, line, key and what is allowed, never the value."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from omc_infra.toml_file import TomlFile

_SECRET = re.compile(r"(?i)(^|_)(api_?key|key|keys|secret|token|password|passphrase|credentials?)$")


def complaints(
    model: type[BaseModel], table: Mapping[str, Any], file: TomlFile, at: Sequence[str] = (), hidden: Collection[str] = ()
) -> list[str]:
    """Validate a table and return one line a mistake; empty where it is well-formed.

    Args:
        model: What the table must satisfy.
        table: As the file says it.
        file: Where it stands.
        at: Keys of the table.
        hidden: Fields that are not offered as allowed.
    """
    try:
        valid = model.model_validate(table)
    except ValidationError as error:
        found = (_described(model, table, each["type"], each["loc"], each["msg"], hidden) for each in error.errors())
        return [f"{file.place([*at, *keys])}: {said}" for keys, said in dict(found).items()]
    return [f"{file.place([*at, *keys])}: should be a number, not true or false" for keys in _booleans(table, valid.model_dump())]


def looks_secret(key: str) -> bool:
    """Say whether a key is named as secrets are."""
    return bool(_SECRET.search(key))


def allowed(names: Collection[str]) -> str:
    """List what may stand in a place."""
    return f"allowed: {', '.join(sorted(names))}" if names else "nothing may stand here"


def _described(
    model: type[BaseModel], table: Mapping[str, Any], kind: str, location: tuple[int | str, ...], message: str, hidden: Collection[str]
) -> tuple[tuple[str, ...], str]:
    keys = _real(table, location)
    if kind == "extra_forbidden":
        if looks_secret(keys[-1]):
            return keys, "looks like a secret; keys of upstreams stand in the environment as OMC_KEY_<NAME>, not in this file"
        inner = _model_at(model, keys[:-1])
        return keys, f"no such key; {allowed(set(inner.model_fields) - set(hidden))}" if inner else "no such key"
    if kind == "missing":
        return (*keys, str(location[-1])), "is missing"
    return keys, message.removeprefix("Value error, ").removeprefix("Input ")


def _real(table: Mapping[str, Any], location: tuple[int | str, ...]) -> tuple[str, ...]:
    """Cut a location to the keys that are in the table: pydantic adds names of union members and the like."""
    keys: list[str] = []
    inner: Any = table
    for part in location:
        if isinstance(inner, Mapping) and str(part) in inner:
            inner = inner[str(part)]
        elif isinstance(inner, list) and isinstance(part, int) and part < len(inner):
            inner = inner[part]
        else:
            break
        keys.append(str(part))
    return tuple(keys)


def _model_at(model: type[BaseModel], keys: Sequence[str]) -> type[BaseModel] | None:
    for key in keys:
        field = model.model_fields.get(key)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return None
        model = field.annotation
    return model


def _booleans(raw: Any, valid: Any, keys: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Find booleans that were taken for numbers, which pydantic does."""
    if isinstance(raw, bool) and isinstance(valid, int | float) and not isinstance(valid, bool):
        return [keys]
    if isinstance(raw, Mapping) and isinstance(valid, Mapping):
        return [found for key in raw if key in valid for found in _booleans(raw[key], valid[key], (*keys, key))]
    if isinstance(raw, list) and isinstance(valid, list | tuple) and len(raw) == len(valid):
        return [found for one, other in zip(raw, valid, strict=True) for found in _booleans(one, other, keys)]
    return []
