"""JSON schemas as every provider accepts them for structured output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_UNSUPPORTED = frozenset({"default", "maxLength", "minLength", "maxItems", "minItems", "pattern", "maximum", "minimum", "multipleOf"})
"""Providers refuse some of these; our own check of the answer holds them."""
_NAMED = ("properties", "$defs")


def portable_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema in which each object is closed and all its fields are required, without limits and defaults."""
    portable = {name: _inner(name, value) for name, value in schema.items() if name not in _UNSUPPORTED}
    if "properties" in schema:
        portable["additionalProperties"] = False
        portable["required"] = list(schema["properties"])
    return portable


def _inner(name: str, value: Any) -> Any:
    if name in _NAMED and isinstance(value, Mapping):
        return {key: portable_schema(inner) for key, inner in value.items()}
    if isinstance(value, Mapping):
        return portable_schema(value)
    return [portable_schema(each) if isinstance(each, Mapping) else each for each in value] if isinstance(value, list) else value
