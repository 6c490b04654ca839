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

_NO_THREADS = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # the allocator of pyarrow, which pandas imports
}


class PreloadError(Exception):
    """Something cannot be preloaded, or must not be forked; the message says what."""


def preload(locations: Sequence[str], libraries: Sequence[str]) -> None:
    """Import everything, build the locations' repositories, and execute a trivial run so that Dagster is warm as well.

    Args:
        locations: Modules that hold a code location each.
        libraries: Modules that are imported where they can be; one of our own that can't is a fault.

    Raises:
        PreloadError: A location does not load, or loading left what a fork would break.
    """
    with _libraries_without_threads():
        for name in libraries:
            try:
                importlib.import_module(name)
            except ImportError as error:
                if (error.name or "").startswith("omc_"):
                    raise PreloadError(f"{name} does not load: {error}") from error
                log.warning("cannot preload a library", module=name, reason=str(error))
        for name in locations:
            build_location(name)
        from omc_infra.runs.rehearsal import rehearse

        rehearse()
    gc.collect()
    gc.freeze()


def unsafe_to_fork(expected_files: Collection[int]) -> str | None:
    """Return why this process must not be forked, or None.

    Args:
        expected_files: File descriptors that may be sockets or pipes.
    """
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
    if threads:
        return f"preloading started threads: {', '.join(threads)}"
    if sys.platform != "linux":
        return None
    native = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir() if int(task.name) != os.getpid()]
    if native:
        return f"preloading started threads outside of Python: {', '.join(native)}"
    shared = [found for found in map(_shared_file, _open_files() - set(expected_files)) if found]
    return f"preloading opened {', '.join(shared)}" if shared else None


@contextmanager
def _libraries_without_threads() -> Iterator[None]:
    """Keep libraries from starting threads of their own when they are imported; they read these variables once."""
    added = {name: value for name, value in _NO_THREADS.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def build_location(name: str) -> None:
    """Replace what a module defines by the repository it makes, so that no run makes it again.

    Not where each run comes with data of its own to make it from.

    Raises:
        PreloadError: It does not load.
    """
    from dagster._core.code_pointer import ModuleCodePointer
    from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
    from dagster._core.definitions.reconstruct import reconstruct_repository_def_from_pointer
    from dagster._core.workspace.autodiscovery import LOAD_ALL_ASSETS, loadable_targets_from_python_module

    try:
        for target in loadable_targets_from_python_module(name, working_directory=None):
            with DefinitionsLoadContext.scoped(DefinitionsLoadContext(DefinitionsLoadType.RECONSTRUCTION)):
                repository = reconstruct_repository_def_from_pointer(ModuleCodePointer(name, target.attribute))
            repository.load_all_definitions()
            if target.attribute != LOAD_ALL_ASSETS and repository.repository_load_data is None:
                setattr(sys.modules[name], target.attribute, repository)
    except (Exception, SystemExit) as error:  # the Dagster boundary: a location's own code may raise anything
        raise PreloadError(f"{name} does not load: {type(error).__name__}: {error}") from error


def _open_files() -> set[int]:
    return {int(file.name) for file in Path("/proc/self/fd").iterdir()} - {0, 1, 2}


def _shared_file(number: int) -> str | None:
    """Name a file that parent and child must not both use, or answer None for one that is harmless or gone."""
    try:
        mode = os.fstat(number).st_mode
        name = str(Path(f"/proc/self/fd/{number}").readlink())
    except OSError:
        return None
    return name if stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode) or name.startswith("anon_inode:") else None
