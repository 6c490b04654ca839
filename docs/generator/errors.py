"""The page of error classes: the tree, what each means, whether a rerun helps, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import omc_agents
import omc_infra
import omc_pipeline
from generator.page import code, first_paragraph, table
from omc_infra.cli import exit_code
from omc_infra.errors import OmcError

HEAD = ("error", "meaning", "a rerun helps", "exit code", "what to do")


def block() -> str:
    """Return the tree as text, and a table of every class in it."""
    kinds = error_classes()
    tree = "\n".join(_lines(OmcError, "", ""))
    rows = [(code(kind.__name__), first_paragraph(kind.__doc__), _rerun(kind), str(exit_code(kind)), kind.advice) for kind in kinds]
    return f"```\n{tree}\n```\n\n{table(HEAD, rows)}"


def error_classes() -> list[type[OmcError]]:
    """Return every class of the tree, parents first; all modules of the packages are imported for it."""
    for package in (omc_infra, omc_pipeline, omc_agents):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__") and ".migrations." not in module.name:
                import_module(module.name)
    return list(_descendants(OmcError))


def _descendants(kind: type[OmcError]) -> Iterator[type[OmcError]]:
    yield kind
    for child in _children(kind):
        yield from _descendants(child)


def _children(kind: type[OmcError]) -> list[type[OmcError]]:
    """Return the direct subclasses of our packages in the order of their modules; those that a test defines are left out."""
    ours = [child for child in kind.__subclasses__() if child.__module__.startswith(("omc_infra.", "omc_pipeline.", "omc_agents."))]
    return sorted(ours, key=lambda child: (child.__module__ != "omc_infra.errors", child.__module__))


def _lines(kind: type[OmcError], before: str, below: str) -> Iterator[str]:
    yield f"{before}{kind.__name__}"
    children = _children(kind)
    for child in children:
        is_last = child is children[-1]
        yield from _lines(child, below + ("└── " if is_last else "├── "), below + ("    " if is_last else "│   "))


def _rerun(kind: type[OmcError]) -> str:
    if kind is OmcError:
        return "its branch says"
    return "yes, later" if kind.retryable else "no"
