"""Documents with the facts that a person found in them, as ``omc bench documents`` reads them from a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omc_infra.errors import BadInputError
from omc_pipeline.documents.fact import DocumentFact
from omc_pipeline.documents.passage import Document
from omc_pipeline.documents.reader import read_document

SUFFIX = ".facts.json"


@dataclass(frozen=True)
class Labelled:
    """A document that was read, and its labelled facts."""

    read: Document
    facts: tuple[DocumentFact, ...]


def labelled(folder: Path) -> list[Labelled]:
    """Read each document of a folder and of the folders in it that has a ``NAME.facts.json`` beside it, by name.

    Raises:
        BadInputError: A document is missing or can't be read, or a file of facts has another shape.
    """
    return [_labelled(path) for path in sorted(folder.rglob(f"*{SUFFIX}"))]


def _labelled(path: Path) -> Labelled:
    try:
        found: Any = json.loads(path.read_text())
        facts = tuple(_fact(each) for each in (found["facts"] if isinstance(found, dict) else found))
        body = path.with_name(path.name.removesuffix(SUFFIX)).read_bytes()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInputError(f"{path}: no labelled facts: {error}") from error
    return Labelled(read_document(body), facts)


def _fact(each: dict[str, Any]) -> DocumentFact:
    return DocumentFact(
        each["kind"], each["subject"], each["value"], each["unit"], 0, each["literal"], each.get("period", ""), each.get("modality"),
        bool(each.get("negated")),
    )  # fmt: skip
