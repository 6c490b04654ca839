"""Rows of a venue's answer that are not objects: set aside before ccxt reads the answer, because one of them stops ccxt's whole method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NOT_AN_OBJECT = "it is not an object"

Unread = list[tuple[str, Any]]
"""Reason and row, for each row that could not be read."""


def only_objects(document: Any, path: Sequence[str] | None) -> tuple[Any, Unread]:
    """Return a document without the rows that are not objects, and those rows.

    Args:
        document: The answer; it is not changed.
        path: Keys that lead to its rows, a list or an object by id; None where a venue's are not known.

    Returns:
        The document unchanged if there are no rows at the path; a row of an object is returned with its id.
    """
    if path is None:
        return document, []
    if path:
        inner = document.get(path[0]) if isinstance(document, dict) else None
        if inner is None:
            return document, []
        kept, unread = only_objects(inner, path[1:])
        return {**document, path[0]: kept}, unread
    if isinstance(document, list):
        return [row for row in document if isinstance(row, dict)], [(NOT_AN_OBJECT, row) for row in document if not isinstance(row, dict)]
    if isinstance(document, dict):
        unread = [(NOT_AN_OBJECT, {"id": key, "row": row}) for key, row in document.items() if not isinstance(row, dict)]
        return {key: row for key, row in document.items() if isinstance(row, dict)}, unread
    return document, []
