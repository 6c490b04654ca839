"""Find all sources: files ``<ledger>_<name>.py`` in the folder ``sources`` with a ``SOURCE`` of the same name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from omc_infra.configuration import checked_models
from omc_infra.errors import BadInputError, ConfigurationError
from omc_infra.logs import redact
from omc_pipeline.collection.cadence import is_due
from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.table import LEDGERS, LedgerName

_PACKAGE = "omc_pipeline.sources"
_FOLDER = Path(__file__).resolve().parent.parent / "sources"


_WORDS = 300
"""Most characters of an error that are told of a broken file."""


@dataclass(frozen=True)
class BrokenSource:
    """A source file without a valid source; it is shown with the reason and doesn't affect other sources.

    Attributes:
        name: The file's name without ``.py``.
        ledger: By the file's name; None where that names no ledger.
        reason: One line: the file, and what is wrong with it.
    """

    name: str
    ledger: LedgerName | None
    reason: str


@dataclass(frozen=True)
class Discovered:
    """The sources and the broken files, each by name and sorted."""

    sources: Mapping[str, Source]
    broken: Mapping[str, BrokenSource]


def discover(folder: Path = _FOLDER) -> Discovered:
    """Import every source file; new files need no registration.

    Args:
        folder: Where the files are; those that begin with ``_`` are parts of sources.

    Returns:
        The sources, and for each file that doesn't import, has no ``SOURCE``, or one that contradicts the file's name or its own
        tables, what is wrong with it.
    """
    sources: dict[str, Source] = {}
    broken: dict[str, BrokenSource] = {}
    for path in sorted(path for path in folder.glob("*.py") if not path.name.startswith("_")):
        try:
            sources[path.stem] = _read(path, folder)
        except ConfigurationError as error:
            broken[path.stem] = BrokenSource(path.stem, _ledger_of(path.stem), str(error))
    return Discovered(sources, broken)


def discover_sources(folder: Path = _FOLDER) -> Mapping[str, Source]:
    """Return the sources that can be collected, sorted by name; ``discover`` names the broken files, too."""
    return discover(folder).sources


def broken_parts() -> list[str]:
    """Return a line for each source file that does not load."""
    return [each.reason for each in discover().broken.values()]


def broken_findings(_database: object) -> list[str]:
    """Return the same for `omc status`."""
    return broken_parts()


def source_named(name: str, folder: Path = _FOLDER) -> Source:
    """Return one source.

    Raises:
        ConfigurationError: Its file is broken; the message says how.
        BadInputError: There is none of that name; the message lists those there are.
    """
    found = discover(folder)
    if name in found.broken:
        raise ConfigurationError(found.broken[name].reason)
    if name not in found.sources:
        raise BadInputError(f"no source '{name}'; choose one of {', '.join(found.sources)}")
    return found.sources[name]


def _read(path: Path, folder: Path) -> Source:
    if _ledger_of(path.stem) is None or not path.stem.isidentifier():
        raise ConfigurationError(
            f"source {path.name}: the file of a source must be named <ledger>_<name>.py; <ledger> is one of {', '.join(LEDGERS)}"
        )
    try:
        return _checked(path, _imported(path, folder))
    except ConfigurationError as error:
        details = str(error)
        raise ConfigurationError(details if path.name in details else f"source {path.name}: {details}") from error
    except (Exception, SystemExit) as error:  # a file of somebody else's may raise anything, and stops only itself
        raise ConfigurationError(f"source {path.name} can't be imported: {_description(error)}") from error


def broken_by(name: str, error: Exception) -> BrokenSource:
    """Return a broken source: it can be imported, but the platform can't build its definitions."""
    return BrokenSource(name, _ledger_of(name), f"source {name}.py can't be built: {_description(error)}")


def _description(error: BaseException) -> str:
    return redact(" ".join(f"{type(error).__name__}: {error}".split()))[:_WORDS]


def _ledger_of(name: str) -> LedgerName | None:
    return next((ledger for ledger in LEDGERS if name.startswith(f"{ledger}_")), None)


def _imported(path: Path, folder: Path) -> ModuleType:
    if folder == _FOLDER:
        return importlib.import_module(f"{_PACKAGE}.{path.stem}")
    return _loaded(path, f"omc_dropped_sources.{path.stem}")


def _loaded(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _checked(path: Path, module: ModuleType) -> Source:
    source = getattr(module, "SOURCE", None)
    if not isinstance(source, Source):
        raise ConfigurationError(f"source {path.name} has no SOURCE = Source(...)")
    if source.name != path.stem:
        raise ConfigurationError(f"source {path.name}: SOURCE.name is '{source.name}', not the file's name")
    ledgers = {table.ledger for table in source.tables}
    if len(ledgers) != 1 or not source.name.startswith(f"{source.ledger}_"):
        details = ", ".join(sorted(ledgers)) or "no ledger"
        raise ConfigurationError(f"source {path.name}: its tables belong to {details}, not to the ledger in its name")
    checked_models({f"sources.{source.name}": source.config})
    source.config()  # complete without a file
    wrong = next(_contradictions(source), None)
    if wrong is not None:
        raise ConfigurationError(f"source {path.name}: {wrong}")
    return source


def _contradictions(source: Source) -> Iterator[str]:
    """Yield contradictions in a source's declaration."""
    names = [endpoint.name for endpoint in source.endpoints]
    if not names or len(set(names)) != len(names):
        yield "it needs endpoints, each with a name of its own"
    for endpoint in source.endpoints:
        if (endpoint.fetch is None) == (endpoint.reads is None):
            yield f"endpoint {endpoint.name} needs either a fetch or a ledger table that it reads"
        if not set(endpoint.tables) <= set(source.tables):
            yield f"endpoint {endpoint.name} fills tables that are not the source's"
        if endpoint.fetch is not None and source.policy is None and source.venues is None:
            yield f"endpoint {endpoint.name} fetches, and there is no policy to ask by"
        try:
            is_due(endpoint.cron, datetime.now(UTC))
        except ValueError as error:
            yield f"endpoint {endpoint.name}: {error}"
    if source.per_account and bool(source.venue) == (source.venues is not None):
        yield "it is collected by account and needs either one venue or several"
