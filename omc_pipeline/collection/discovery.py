"""Find every source: each file ``<ledger>_<name>.py`` of the folder ``sources`` that holds a ``SOURCE`` of its own name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from omc_infra.errors import BadInputError, ConfigurationError
from omc_pipeline.collection.cadence import is_due
from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.table import LEDGERS

_PACKAGE = "omc_pipeline.sources"
_FOLDER = Path(__file__).resolve().parent.parent / "sources"


def discover_sources(folder: Path = _FOLDER) -> Mapping[str, Source]:
    """Import and return all sources, sorted by name; a new file is found without being listed anywhere.

    Args:
        folder: Where the files are.

    Raises:
        ConfigurationError: A file does not import, has no ``SOURCE``, or one that contradicts the file's name or its own tables.
    """
    files = sorted(path for ledger in LEDGERS for path in folder.glob(f"{ledger}_*.py"))
    sources = [_checked(path, _imported(path, folder)) for path in files]
    return {source.name: source for source in sorted(sources, key=lambda source: source.name)}


def source_named(name: str, folder: Path = _FOLDER) -> Source:
    """Return one source.

    Raises:
        BadInputError: There is none of that name; the message lists those there are.
    """
    sources = discover_sources(folder)
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
    wrong = next(_contradictions(source), None)
    if wrong is not None:
        raise ConfigurationError(f"source {path.name}: {wrong}")
    return source


def _contradictions(source: Source) -> Iterator[str]:
    """Yield what contradicts itself in a source's declaration."""
    names = [endpoint.name for endpoint in source.endpoints]
    if not names or len(set(names)) != len(names):
        yield "it needs endpoints, each with a name of its own"
    for endpoint in source.endpoints:
        if (endpoint.fetch is None) == (endpoint.reads is None):
            yield f"endpoint {endpoint.name} needs either a fetch or a ledger table that it reads"
        if not set(endpoint.tables) <= set(source.tables):
            yield f"endpoint {endpoint.name} fills tables that are not the source's"
        if endpoint.fetch is not None and source.policy is None:
            yield f"endpoint {endpoint.name} fetches, and there is no policy to ask by"
        try:
            is_due(endpoint.cron, datetime.now(UTC))
        except ValueError as error:
            yield f"endpoint {endpoint.name}: {error}"
    if source.per_account and not source.venue:
        yield "it is collected by account and names no venue"
