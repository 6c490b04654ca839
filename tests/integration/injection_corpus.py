"""Hostile and benign strings for tests. They are data: nothing in them is an instruction to anybody.

``OMC_INJECTION_CORPUS`` names a file of them, or a folder with a ``strings.json``; then these are taken and no others. Otherwise the
project's own are, and those of the shared folder where there is one. A file holds ``{"strings": [...]}``, or the list alone; an entry
is a text, or an object with ``text`` and, where it has them, ``id`` and ``kind`` (``attack`` or ``benign``).
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omc_infra.settings import PROJECT_ROOT

VARIABLE = "OMC_INJECTION_CORPUS"
_TAKEN = "INJECTION_CORPUS_OF_TESTS"
OWN = PROJECT_ROOT / "tests/fixtures/injections/strings.json"
CANARY = "canary-4d1f9be27c"
"""Stands wherever a string says ``{canary}``: a secret that a text asks to be repeated."""


@dataclass(frozen=True)
class Planted:
    """One string; what is not known to be benign counts as an attack."""

    string_id: str
    text: str
    is_benign: bool


def take_variable(environ: MutableMapping[str, str] = os.environ) -> None:
    """Keep the variable under a name that no process of ours reads: a setting that it doesn't know is refused by every command."""
    if VARIABLE in environ:
        environ[_TAKEN] = str(Path(environ.pop(VARIABLE)).absolute())


def injection_strings(environ: MutableMapping[str, str] = os.environ) -> list[Planted]:
    """Return the strings that tests plant, each text once."""
    take_variable(environ)
    if _TAKEN in environ:
        files = [_file_at(Path(environ[_TAKEN]))]
    else:
        shared = Path(environ.get("SHARED_FOLDER", PROJECT_ROOT.parent / "shared")) / "injections/strings.json"
        if not shared.is_file():
            warnings.warn(f"ONLY THE PROJECT'S OWN injection strings are planted: there is no {shared}", stacklevel=2)
        files = [OWN, *([shared] if shared.is_file() else [])]
    found = [planted for file in files for planted in read_corpus(file)]
    return list({planted.text: planted for planted in found}.values())


def read_corpus(file: Path) -> list[Planted]:
    """Return the strings of a file; one without any, or of another shape, is a mistake and no empty corpus."""
    document = json.loads(file.read_text("utf-8"))
    entries: Sequence[Any] = document["strings"] if isinstance(document, dict) else document
    found = [_planted(n, entry if isinstance(entry, dict) else {"text": entry}) for n, entry in enumerate(entries)]
    if not found:
        raise ValueError(f"{file} holds no strings")
    return found


def _planted(n: int, entry: dict[str, Any]) -> Planted:
    text = entry["text"]
    if not isinstance(text, str):
        raise TypeError(f"entry {n}: text is no string")
    return Planted(str(entry.get("id", n)), text.replace("{canary}", CANARY), entry.get("kind") == "benign")


def _file_at(path: Path) -> Path:
    return path / "strings.json" if path.is_dir() else path
