"""The words of names and docstrings: terms of the field, in plain modern English."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from omc_infra.settings import PROJECT_ROOT

PACKAGES = ("omc_infra", "omc_pipeline", "omc_agents")
RETIRED = frozenset(
    {"newsroom", "desk", "book", "books", "pace", "sift", "sifted", "strike", "struck", "told", "borne", "way", "plain", "plans"}
)
"""Words that no name uses any more, because the field or a library has a word: context, resource, batching, rate limit, filter, redact."""
FOREIGN = frozenset({"PlainTextResponse"})
"""Names of libraries."""
FILES = [path for package in PACKAGES for path in sorted((PROJECT_ROOT / package).rglob("*.py"))]


def names_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and node.id not in FOREIGN:
            yield node.id
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg


def words_of(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def test_no_name_uses_a_retired_word() -> None:
    found = {path: {path.stem, *names_of(ast.parse(path.read_text()))} for path in FILES}

    retired = {
        str(path.relative_to(PROJECT_ROOT)): [name for name in names if RETIRED & set(words_of(name))] for path, names in found.items()
    }
    assert not {path: names for path, names in retired.items() if names}


def test_no_docstring_begins_with_answer() -> None:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = {
        str(path.relative_to(PROJECT_ROOT)): [
            ast.get_docstring(node) or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, documented)
        ]
        for path in FILES
    }

    assert not {path: text for path, found in texts.items() for text in found if text.startswith(("Answer ", "Answers "))}
