"""Detect whether the preloaded code has changed on disk."""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_INSTALLED = {"site-packages", "dist-packages"}
_STANDARD_LIBRARY = sysconfig.get_path("stdlib")

Fingerprint = dict[str, tuple[int, int]]
"""Path of each source file, with its time of change in ns and its size."""


class SourceWatch:
    """Compare the source files of preloaded packages with how they were; installed libraries are not watched.

    Args:
        locations: Modules whose packages are watched even where they did not load.
        loaded_since_ns: When loading began; what was changed after that may have been read before, so it counts as changed.
    """

    def __init__(self, locations: Sequence[str], loaded_since_ns: int) -> None:
        self._roots = sorted({*_roots_of_names(locations), *_roots_of_loaded()})
        now_ns = time.time_ns()
        self._seen = {path: seen for path, seen in self._fingerprint().items() if not loaded_since_ns < seen[0] <= now_ns}

    def has_changed(self) -> bool:
        """Say whether a file was changed, added or removed since the last look."""
        before, self._seen = self._seen, self._fingerprint()
        return before != self._seen

    def _fingerprint(self) -> Fingerprint:
        return {entry: seen for root in self._roots for entry, seen in _sources(root)}


def _sources(root: str) -> Iterator[tuple[str, tuple[int, int]]]:
    if root.endswith(".py"):
        try:
            found = os.stat(root)  # noqa: PTH116 thousands of files at each launch: pathlib takes three times as long
        except FileNotFoundError:
            return
        yield root, (found.st_mtime_ns, found.st_size)
        return
    try:
        entries = list(os.scandir(root))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name.endswith(".py") or (
            entry.is_dir(follow_symlinks=False) and entry.name.isidentifier() and entry.name != "__pycache__"
        ):
            yield from _sources(entry.path)


def _roots_of_names(modules: Sequence[str]) -> Iterator[str]:
    for module in modules:
        try:
            spec = importlib.util.find_spec(module.partition(".")[0])
        except (ImportError, ValueError):
            continue
        if spec is not None and spec.origin is not None:
            yield from _root_of_file(spec.origin, is_package=spec.submodule_search_locations is not None)


def _roots_of_loaded() -> Iterator[str]:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and "." not in name and name != "__main__":
            yield from _root_of_file(file, is_package=hasattr(module, "__path__"))


def _root_of_file(file: str, *, is_package: bool) -> Iterator[str]:
    path = os.path.abspath(file)  # noqa: PTH100 links stay: a file's name on disk is what an editor changes
    installed = _INSTALLED & set(Path(path).parts) or path.startswith(_STANDARD_LIBRARY + os.sep)
    if path.endswith(".py") and not installed:
        yield str(Path(path).parent) if is_package else path
