"""Find every source: each file ``<ledger>_<name>.py`` of this folder that holds a ``SOURCE`` of its own name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from omc_infra.errors import BadInputError, ConfigurationError
from omc_pipeline.ledgers.table import LEDGERS
from omc_pipeline.sources.source import Source

_FOLDER = Path(__file__).resolve().parent
_PACKAGE = __package__ or "omc_pipeline.sources"


def discover_sources(folder: Path = _FOLDER) -> Mapping[str, Source]:
    """Import and answer all sources, sorted by name; a new file is found without being listed anywhere.

    Args:
        folder: Where the files are.

    Raises:
        ConfigurationError: A file does not import, has no ``SOURCE``, or one that contradicts the file's name or its own tables.
    """
    files = sorted(path for ledger in LEDGERS for path in folder.glob(f"{ledger}_*.py"))
    sources = [_checked(path, _imported(path, folder)) for path in files]
    return {source.name: source for source in sorted(sources, key=lambda source: source.name)}


def source_named(name: str) -> Source:
    """Answer one source.

    Raises:
        BadInputError: There is none of that name; the message lists those there are.
    """
    sources = discover_sources()
    if name not in sources:
        raise BadInputError(f"no source '{name}'; there are {', '.join(sources)}")
    return sources[name]


def _imported(path: Path, folder: Path) -> ModuleType:
    name = f"{_PACKAGE}.{path.stem}" if folder == _FOLDER else f"omc_dropped_sources.{path.stem}"
    try:
        if folder == _FOLDER:
            return importlib.import_module(name)
        return _loaded(path, name)
    except (ImportError, SyntaxError, NameError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Anything else a module may raise passes as it is: loud too, with the file in its traceback.
        raise ConfigurationError(f"source {path.name} does not import: {type(error).__name__}: {error}") from error


def _loaded(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _checked(path: Path, module: ModuleType) -> Source:
    source = getattr(module, "SOURCE", None)
    if not isinstance(source, Source):
        raise ConfigurationError(f"source {path.name} has no SOURCE = Source(...)")
    if source.name != path.stem:
        raise ConfigurationError(f"source {path.name}: SOURCE.name is '{source.name}', not the file's name")
    ledgers = {table.ledger for table in source.tables}
    if len(ledgers) != 1 or not source.name.startswith(f"{source.ledger}_"):
        told = ", ".join(sorted(ledgers)) or "no ledger"
        raise ConfigurationError(f"source {path.name}: its tables belong to {told}, not to the ledger it is named after")
    return source
