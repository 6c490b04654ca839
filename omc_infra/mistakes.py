"""Describe what is wrong with a table of a file: one line for each mistake, with file, line, key and what is allowed, never the value."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from omc_infra.toml_file import TomlFile

_READABLE: Mapping[str, str] = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "date_from_datetime_parsing": "must be a date like 2026-01-31",
    "date_type": "must be a date like 2026-01-31",
    "decimal_parsing": "must be a decimal number",
    "decimal_type": "must be a decimal number",
    "dict_type": "must be a table",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "frozen_set_type": "must be a list",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "model_attributes_type": "must be a table",
    "model_type": "must be a table",
    "set_type": "must be a list",
    "string_pattern_mismatch": "has the wrong form; it must match {pattern}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "must be text in quotes",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
    "tuple_type": "must be a list",
}
"""What a person reads instead of pydantic's message, by pydantic's name of the mistake."""
_SECRET = re.compile(r"(?i)(^|_)(api_?key|key|keys|secret|token|password|passphrase|credentials?)$")


def complaints(
    model: type[BaseModel], table: Mapping[str, Any], file: TomlFile, at: Sequence[str] = (), hidden: Collection[str] = ()
) -> list[str]:
    """Validate a table and return one line for each mistake; no lines for a valid table.

    Args:
        model: What the table must satisfy.
        table: The table as it is in the file.
        file: The file.
        at: Keys that lead to the table.
        hidden: Fields that are not listed as allowed.
    """
    try:
        valid = model.model_validate(table)
    except ValidationError as error:
        found = (_described(model, table, each, hidden) for each in error.errors())
        return [f"{file.place([*at, *keys])}: {said}" for keys, said in dict(found).items()]
    return [f"{file.place([*at, *keys])}: must be a number, not true or false" for keys in _booleans(table, valid.model_dump())]


def looks_secret(key: str) -> bool:
    """Return whether the name of a key looks like that of a secret."""
    return bool(_SECRET.search(key))


def allowed(names: Collection[str]) -> str:
    """List the names that are allowed in a place."""
    return f"allowed: {', '.join(sorted(names))}" if names else "nothing is allowed here"


def readable_message(error: ErrorDetails) -> str:
    """Return one of pydantic's errors in words for a person who writes a file or sets a variable."""
    if (words := _READABLE.get(error["type"])) is None:
        return error["msg"].removeprefix("Value error, ")
    bounds = error.get("ctx", {})
    said = words.format(**{name: int(of) if isinstance(of, float) and of.is_integer() else of for name, of in bounds.items()})
    return said.replace(" 1 entries", " 1 entry")


def _described(
    model: type[BaseModel], table: Mapping[str, Any], error: ErrorDetails, hidden: Collection[str]
) -> tuple[tuple[str, ...], str]:
    kind, location = error["type"], error["loc"]
    keys = _real(table, location)
    if kind == "extra_forbidden":
        if looks_secret(keys[-1]):
            return keys, "looks like a secret; set keys of upstreams in the environment as OMC_KEY_<NAME>, not in this file"
        inner = _model_at(model, keys[:-1])
        return keys, f"no such key; {allowed(set(inner.model_fields) - set(hidden))}" if inner else "no such key"
    if kind == "missing":
        return (*keys, str(location[-1])), "is missing"
    return keys, readable_message(error)


def _real(table: Mapping[str, Any], location: tuple[int | str, ...]) -> tuple[str, ...]:
    """Reduce a location to the keys that are in the table: pydantic adds, for example, the names of union members."""
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
    """Find booleans that pydantic has accepted as numbers."""
    if isinstance(raw, bool) and isinstance(valid, int | float) and not isinstance(valid, bool):
        return [keys]
    if isinstance(raw, Mapping) and isinstance(valid, Mapping):
        return [found for key in raw if key in valid for found in _booleans(raw[key], valid[key], (*keys, key))]
    if isinstance(raw, list) and isinstance(valid, list | tuple) and len(raw) == len(valid):
        return [found for one, other in zip(raw, valid, strict=True) for found in _booleans(one, other, keys)]
    return []
