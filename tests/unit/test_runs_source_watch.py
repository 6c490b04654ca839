"""Whether preloaded code is still the code on disk."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from omc_infra.runs.source_watch import SourceWatch

PACKAGE = "watched_package"


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    """Make a package that can be found, with a subpackage."""
    folder = tmp_path / PACKAGE
    (folder / "rooms").mkdir(parents=True)
    for name in ("__init__.py", "definitions.py", "rooms/__init__.py", "rooms/one.py"):
        (folder / name).write_text("VALUE = 1\n")
    sys.path.append(str(tmp_path))
    yield folder
    sys.path.remove(str(tmp_path))
    sys.modules.pop(PACKAGE, None)


def _watch() -> SourceWatch:
    return SourceWatch([f"{PACKAGE}.definitions"], time.time_ns())


@pytest.mark.parametrize(
    "change",
    [
        lambda package: (package / "rooms/one.py").write_text("VALUE = 22\n"),
        lambda package: (package / "rooms/two.py").write_text("VALUE = 2\n"),
        lambda package: (package / "rooms/one.py").unlink(),
    ],
    ids=["changed", "added", "removed"],
)
def test_a_source_file_that_is_different_is_noticed_once(package: Path, change: Callable[[Path], object]) -> None:
    watch = _watch()
    assert not watch.has_changed()

    change(package)

    assert watch.has_changed()
    assert not watch.has_changed()


def test_what_is_no_source_is_not_watched(package: Path) -> None:
    watch = _watch()

    (package / "notes.txt").write_text("x")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "one.py").write_text("x")

    assert not watch.has_changed()


def test_a_file_changed_while_it_was_loaded_counts_as_changed(package: Path) -> None:
    began_ns = time.time_ns() - 1
    (package / "rooms/one.py").write_text("VALUE = 2\n")

    assert SourceWatch([f"{PACKAGE}.definitions"], began_ns).has_changed()


def test_a_package_that_does_not_load_is_watched_and_one_that_is_missing_is_no_error(package: Path) -> None:
    (package / "definitions.py").write_text("raise RuntimeError")
    watch = SourceWatch([f"{PACKAGE}.definitions", "no_such_package.definitions"], time.time_ns())

    (package / "definitions.py").write_text("VALUE = 3")

    assert watch.has_changed()
