"""Every command prints through one file, which takes text as text: no other prints, opens a console or writes markup."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from omc_infra.settings import PROJECT_ROOT

STOREYS = ("omc_infra", "omc_pipeline", "omc_agents")
PRINTS = {
    Path("omc_infra/terminal.py"): {"click.secho", "click.echo"},
    Path("omc_infra/cli.py"): {"click.echo"},
    Path("omc_pipeline/benches/pnl_process.py"): {"sys.stdout.write"},  # a figure, to the process that started it
    Path("omc_infra/services/loading.py"): {"sys.stdout.write"},  # failures as JSON, to the process that started it
}
"""Files that may print, and by what."""
_PRINTING = {"print", "click.echo", "click.secho", "click.echo_via_pager", "rich.print", "sys.stdout.write", "sys.stderr.write"}
_OPENING = re.compile(r"(^|\.)Console$")
_MARKUP_MAKING = re.compile(r"(^|\.)(from_markup|print_json)$")
_MARKUP = re.compile(r"\[/?(?:bold|italic|dim|red|green|yellow|blue|cyan|magenta|white|black|bright_\w+|link)\b[^\]]*\]|\[/\]")
_BYTES_OUT = {"sys.stdout.buffer.write"}


def _files() -> list[Path]:
    return sorted(path.relative_to(PROJECT_ROOT) for storey in STOREYS for path in (PROJECT_ROOT / storey).rglob("*.py"))


def _tree(path: Path) -> ast.AST:
    return ast.parse((PROJECT_ROOT / path).read_text())


def _printing_calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name not in _BYTES_OUT and (name in _PRINTING or _OPENING.search(name) or _MARKUP_MAKING.search(name)):
                yield name


def _markup(tree: ast.AST) -> Iterator[str]:
    """Yield strings that rich would read as markup; docstrings may speak of it."""
    spoken = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spoken and _MARKUP.search(node.value):
            yield node.value


def test_what_is_printed_goes_through_the_terminal() -> None:
    printing = {path: set(_printing_calls(_tree(path))) - PRINTS.get(path, set()) for path in _files()}

    assert {path: calls for path, calls in printing.items() if calls} == {}


def test_no_string_is_markup() -> None:
    assert [(path, text) for path in _files() for text in _markup(_tree(path))] == []


def test_what_this_file_looks_for_is_found() -> None:
    tree = ast.parse("print(1); click.echo('[bold]x[/bold]'); rich.console.Console(); sys.stderr.write('')")

    assert list(_printing_calls(tree)) == ["print", "click.echo", "rich.console.Console", "sys.stderr.write"]
    assert list(_markup(tree)) == ["[bold]x[/bold]"]
