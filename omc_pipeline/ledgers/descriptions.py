"""Descriptions of the ledgers' columns, read from the docstrings of the row types.

A row type describes each field in its ``Attributes:`` section: ``name: text.``, or ``name (unit): text.`` where the value has a unit.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass

from omc_pipeline.ledgers.table import Row

_ENTRY = re.compile(r"^    (\w+)(?: \(([^)]*)\))?: (.+)$")


@dataclass(frozen=True)
class FieldDescription:
    """Description of one column.

    Attributes:
        text: A sentence or two for a person, as Markdown.
        unit: Of its value; empty for a value without unit.
    """

    text: str
    unit: str = ""


def table_description(row: type[Row]) -> str:
    """Return the description of one row."""
    return _unwrapped(inspect.cleandoc(row.__doc__ or "").split("\n\n")[0])


def field_descriptions(row: type[Row]) -> Mapping[str, FieldDescription]:
    """Return the field descriptions of a row type, in the order of its docstring; empty without an ``Attributes:`` section."""
    _, _, section = inspect.cleandoc(row.__doc__ or "").partition("\nAttributes:\n")
    found: dict[str, FieldDescription] = {}
    name = ""
    for line in section.splitlines():
        if entry := _ENTRY.match(line):
            name = entry[1]
            found[name] = FieldDescription(_unwrapped(entry[3]), entry[2] or "")
        elif name and line.strip():
            found[name] = FieldDescription(f"{found[name].text} {_unwrapped(line)}", found[name].unit)
    return found


def _unwrapped(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
