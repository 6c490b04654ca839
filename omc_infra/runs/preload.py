"""What is in memory before the first fork: the code locations with their repositories built, and slow libraries.

A fork copies memory, not threads, and shares sockets: so nothing of either may be there, which ``unsafe_to_fork`` proves.
"""

from __future__ import annotations

import gc
import importlib
import os
import stat
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

log = structlog.get_logger()

_THREAD_COUNTS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_originals: dict[str, tuple[object, str, object]] = {}


class PreloadError(Exception):
    """Something cannot be preloaded, or must not be forked; the message says what."""


def preload(locations: Sequence[str], libraries: Sequence[str]) -> None:
    """Import everything, build the locations' repositories, and execute a trivial run so that Dagster is warm as well.

    Args:
        locations: Modules that hold a code location each.
        libraries: Modules that are imported where they can be.

    Raises:
        PreloadError: A location does not load, or loading left what a fork would break.
    """
    with _one_thread_libraries():
        for name in libraries:
            try:
                importlib.import_module(name)
            except ImportError as error:
                log.warning("cannot preload a library", module=name, reason=str(error))
        for name in locations:
            _build(name)
        _rehearse()
    gc.collect()
    gc.freeze()


def use_original_definitions() -> None:
    """Put back what the location modules held, for a run that must build its definitions anew."""
    for module, attribute, original in _originals.values():
        setattr(module, attribute, original)


def unsafe_to_fork(expected_files: Collection[int]) -> str | None:
    """Answer why this process must not be forked, or None.

    Args:
        expected_files: File descriptors that may be sockets or pipes.
    """
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
    if threads:
        return f"preloading started threads: {', '.join(threads)}"
    if sys.platform != "linux":
        return None
    native = len(list(Path("/proc/self/task").iterdir()))
    if native > 1:
        return f"preloading started {native - 1} threads outside of Python"
    shared = [found for found in map(_shared_file, _open_files() - set(expected_files)) if found]
    return f"preloading opened {', '.join(shared)}" if shared else None


@contextmanager
def _one_thread_libraries() -> Iterator[None]:
    """Keep numeric libraries from starting their thread pools when they are imported; they read this once."""
    added = [name for name in _THREAD_COUNTS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _build(name: str) -> None:
    """Replace what a module defines by the repository it makes, so that no run makes it again."""
    from dagster._core.code_pointer import ModuleCodePointer
    from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
    from dagster._core.definitions.reconstruct import reconstruct_repository_def_from_pointer
    from dagster._core.workspace.autodiscovery import LOAD_ALL_ASSETS, loadable_targets_from_python_module

    try:
        for target in loadable_targets_from_python_module(name, working_directory=None):
            with DefinitionsLoadContext.scoped(DefinitionsLoadContext(DefinitionsLoadType.RECONSTRUCTION)):
                repository = reconstruct_repository_def_from_pointer(ModuleCodePointer(name, target.attribute))
            repository.load_all_definitions()
            if target.attribute != LOAD_ALL_ASSETS:
                module = sys.modules[name]
                _originals[f"{name}:{target.attribute}"] = (module, target.attribute, getattr(module, target.attribute))
                setattr(module, target.attribute, repository)
    except Exception as error:  # the Dagster boundary: a location's own code may raise anything
        raise PreloadError(f"{name} does not load: {type(error).__name__}: {error}") from error


def _rehearse() -> None:
    """Execute one step in memory: what Dagster imports and compiles at its first run is then there for every run."""
    import dagster as dg
    import dagster._cli.api  # noqa: F401 what a worker calls

    @dg.asset
    def rehearsal() -> dg.MaterializeResult:  # type: ignore[type-arg]
        return dg.MaterializeResult(metadata={"rows": 1})

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([rehearsal], instance=instance, run_config=quiet)


def _open_files() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2}


def _shared_file(number: int) -> str | None:
    """Name a file that parent and child must not both use, or answer None for one that is harmless or gone."""
    try:
        mode = os.fstat(number).st_mode
        name = os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return None
    return name if stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode) or name.startswith("anon_inode:") else None
