"""Every file that the project names exists: in its configuration, its documents, its docstrings and comments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from omc_infra.settings import PROJECT_ROOT

STOREYS = ("omc_infra", "omc_pipeline", "omc_agents")
_NAMED = re.compile(r"(?<![\w/.-])((?:omc_infra|omc_pipeline|omc_agents|tests|docs)(?:/[\w.-]+)+)")
_MODULE = re.compile(r"``((?:omc_infra|omc_pipeline|omc_agents)(?:\.[A-Za-z_]\w*)+)``")
_TO_BE_MADE = re.compile(r"NAME|human_gazette")
"""What a reader is told to make: a placeholder, and the source that the how-to page adds."""


def texts() -> list[Path]:
    """Return every file in which people read names of other files."""
    configuration = [
        "dagster.yaml",
        "workspace.yaml",
        "Makefile",
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "compose.yaml",
        "Dockerfile",
    ]
    code = [path for storey in STOREYS for path in (PROJECT_ROOT / storey).rglob("*.py")]
    found = [PROJECT_ROOT / name for name in configuration] + list((PROJECT_ROOT / "docs").rglob("*.md")) + code
    return [path for path in found if path.is_file()]


@pytest.mark.parametrize("path", texts(), ids=lambda path: str(path.relative_to(PROJECT_ROOT)))
def test_every_file_that_is_named_exists(path: Path) -> None:
    for name in _NAMED.findall(path.read_text()):
        named = name.rstrip(".").removesuffix("/")
        if not _TO_BE_MADE.search(named):
            assert (PROJECT_ROOT / named).exists(), f"{path.name} names {named}"


@pytest.mark.parametrize("path", texts(), ids=lambda path: str(path.relative_to(PROJECT_ROOT)))
def test_every_module_that_is_named_exists(path: Path) -> None:
    for name in _MODULE.findall(path.read_text()):
        parts = name.split(".")
        reached = [PROJECT_ROOT.joinpath(*parts[:depth]) for depth in range(len(parts), 0, -1)]
        assert any(found.is_dir() or found.with_suffix(".py").is_file() for found in reached[:3]), f"{path.name} names {name}"
