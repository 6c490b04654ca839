"""Find every format: each file ``<venue>_<kind>.py`` of this folder that holds a ``FORMAT`` of its own name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from omc_infra.errors import BadInputError, ConfigurationError
from omc_pipeline.imports.format import Format

_FOLDER = Path(__file__).resolve().parent


@cache
def discover_formats() -> Mapping[str, Format]:
    """Return the formats by name; a file with an underscore in its name is a format, and found without being listed.

    Raises:
        ConfigurationError: Such a file has no ``FORMAT``, or one of another name.
    """
    found: dict[str, Format] = {}
    for path in sorted(path for path in _FOLDER.glob("*_*.py") if not path.name.startswith("_")):
        declared = getattr(importlib.import_module(f"{__package__}.{path.stem}"), "FORMAT", None)
        if not isinstance(declared, Format) or declared.name != path.stem:
            raise ConfigurationError(f"import format {path.name}: it has no FORMAT = Format(name='{path.stem}', ...)")
        found[path.stem] = declared
    return found


def format_named(name: str) -> Format:
    """Return one format.

    Raises:
        BadInputError: There is none of that name; the message lists those there are.
    """
    formats = discover_formats()
    if name not in formats:
        raise BadInputError(f"no format {name!r}; there are {', '.join(formats)}")
    return formats[name]
