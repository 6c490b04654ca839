"""What is true of the whole house: light imports, walls, true documents, nothing that speaks of anything but the project."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

from omc_infra.cli import COMMANDS_GROUP
from omc_infra.settings import PROJECT_ROOT, Settings, load_settings

HEAVY = ("great_expectations", "langgraph", "openai", "anthropic", "google.genai", "mcp", "pandas")
STOREYS = ("omc_infra", "omc_pipeline", "omc_agents")
LONGEST_FILE, LONGEST_FUNCTION = 350, 50


def _sources() -> Iterator[Path]:
    for storey in STOREYS:
        yield from (PROJECT_ROOT / storey).rglob("*.py")


def _packages() -> list[Path]:
    return [path for storey in STOREYS for path in (PROJECT_ROOT / storey).rglob("__init__.py")]


@pytest.mark.parametrize("location", ["omc_pipeline.definitions", "omc_agents.definitions"])
def test_importing_a_code_location_loads_nothing_heavy(location: str) -> None:
    code = f"import sys, {location}; print([m for m in {HEAVY!r} if m in sys.modules])"

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)

    assert answer.stdout.strip() == "[]"


def test_importing_the_command_root_loads_no_storey_above_and_no_dagster() -> None:
    code = "import sys, omc_infra.cli; print([m for m in ('dagster', 'sqlalchemy', 'omc_pipeline', 'omc_agents') if m in sys.modules])"

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)

    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("path", _packages(), ids=lambda path: str(path.parent.relative_to(PROJECT_ROOT)))
def test_every_room_says_what_lives_there_and_what_does_not(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))

    assert docstring, f"{path} has no docstring"
    assert "migrations" in path.parts or path.parent.name == "methods" or "Not here:" in docstring


@pytest.mark.parametrize("command", sorted(entry_points(group=COMMANDS_GROUP)), ids=lambda entry: entry.name)
def test_every_command_has_help_and_a_json_form(command) -> None:  # type: ignore[no-untyped-def]
    loaded = command.load()

    leaves = loaded.commands.values() if isinstance(loaded, click.Group) else [loaded]

    for leaf in leaves:
        assert leaf.help, f"{command.name} {leaf.name} has no help"
        serves = leaf.name in {"serve"}
        assert serves or any("--json" in parameter.opts for parameter in leaf.params), f"{command.name} {leaf.name} lacks --json"


def test_every_command_of_the_documents_exists() -> None:
    known = {entry.name: entry.load() for entry in entry_points(group=COMMANDS_GROUP)}
    named: set[tuple[str, str]] = set()
    for page in [PROJECT_ROOT / "README.md", *(PROJECT_ROOT / "docs").rglob("*.md")]:
        for first, second in re.findall(r"(?:^|[`/ ])omc ([a-z]+)(?: ([a-z]+))?(?=[ `\n])", page.read_text()):
            named.add((first, second))

    for first, second in sorted(named):
        assert first in known, f"the documents name `omc {first}`"
        group = known[first]
        if isinstance(group, click.Group) and second:
            assert second in group.list_commands(click.Context(group)), f"the documents name `omc {first} {second}`"


def test_the_settings_page_names_every_setting_with_its_meaning() -> None:
    page = (PROJECT_ROOT / "docs/reference/settings.md").read_text()

    for name, field in Settings.model_fields.items():
        variable = "OMC_KEY_<NAME>" if name == "keys" else f"OMC_{name.upper()}"
        assert re.search(rf"^\| `{re.escape(variable)}` \| .* \| {re.escape(field.description or '?')} \|$", page, re.MULTILINE), variable


def test_settings_survive_the_way_to_a_child_process(tmp_path: Path) -> None:
    settings = load_settings({"OMC_HOME": str(tmp_path), "OMC_KEY_COINSPOT": "k", "OMC_DATABASE_URL": "postgresql://u:p@h/d"})

    assert load_settings(settings.environ()) == settings


def test_no_link_in_the_documents_is_dead() -> None:
    for page in [PROJECT_ROOT / "README.md", *(PROJECT_ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_long_files_and_functions_are_listed() -> None:
    """House style asks for files of 50 to 250 lines and functions of 4 to 25; what is far beyond is listed, loudly."""
    found = []
    for path in _sources():
        text = path.read_text()
        if text.count("\n") > LONGEST_FILE:
            found.append(f"{path.relative_to(PROJECT_ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION:
                found.append(f"{path.relative_to(PROJECT_ROOT)}:{node.lineno} {node.name}")
    if found:
        warnings.warn("long: " + "; ".join(found), stacklevel=1)

    assert len(found) <= 5, found


def test_no_file_names_the_machine_it_was_written_on() -> None:
    private = re.compile(r"(/root/[a-z.]|/home/[a-z]+/|/work/|\.library|\bTODO\b|\bFIXME\b)")
    for path in [*_sources(), PROJECT_ROOT / "README.md", PROJECT_ROOT / "Makefile", *(PROJECT_ROOT / "docs").rglob("*.md")]:
        assert not private.search(path.read_text()), path
