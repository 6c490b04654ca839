"""Lexicons of crypto words, each a data file that never changes: other words are another file, so old scores can be computed again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from omc_infra.errors import BadInputError

_FOLDER = Path(__file__).parent / "lexicons"
NO_LEXICON = "none"
"""Name of the lexicon without words: VADER alone."""
STRONGEST = 4.0
"""Largest valence of a word, as in VADER."""


@dataclass(frozen=True)
class Lexicon:
    """Words with their valence.

    Attributes:
        name: With its version, ``crypto-1``; the name of its file.
        words: Valence from -4 to 4 by word or phrase, lower case; 0 takes away what VADER reads into a word.
    """

    name: str
    words: Mapping[str, float]


def lexicon_names() -> tuple[str, ...]:
    """Return the names of the lexicons there are: the empty one, then the others from the oldest on."""
    files = sorted((file.stem for file in _FOLDER.glob("*.json")), key=lambda name: int(name.rpartition("-")[2]))
    return (NO_LEXICON, *files)


@cache
def lexicon_named(name: str) -> Lexicon:
    """Return a lexicon.

    Raises:
        BadInputError: There is none of that name.
    """
    if name not in lexicon_names():
        raise BadInputError(f"no lexicon '{name}'; there are {', '.join(lexicon_names())}")
    if name == NO_LEXICON:
        return Lexicon(name, {})
    document = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))
    return Lexicon(document["name"], {word: float(valence) for word, valence in document["words"].items()})
