"""What a request to Dagster's GraphQL endpoint may ask for, decided on the parsed document.

Dagster executes mutations that come by GET, as a form or as plain text, and two of its mutations check no permission, so neither
its content types nor its read-only flag are enough.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, OperationType, parse

MAX_TOKENS = 20_000
"""Longest document that is parsed; the UI's own queries stay below 5,000."""


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused: HTTP status and one line."""

    status: int
    reason: str


def refusal_of_get(query: str | None) -> Refusal | None:
    """Return why a query sent by GET is refused, or None; by GET only queries may come."""
    if query is None:
        return None
    document = _parsed(query)
    if isinstance(document, Refusal):
        return document
    if _operations(document) != {OperationType.QUERY}:
        return Refusal(405, "by GET only queries are answered; send mutations by POST as application/json")
    return None


def refusal_of_post(media_type: str, body: bytes, *, read_only: bool) -> Refusal | None:
    """Return why a POST is refused, or None.

    Args:
        media_type: Content-Type without parameters, lower case.
        body: The whole body.
        read_only: Whether mutations are refused altogether.
    """
    if media_type != "application/json":
        return Refusal(415, "GraphQL is answered as application/json only")
    asked = _read(body)
    if isinstance(asked, Refusal):
        return asked
    document = _parsed(asked["query"])
    if isinstance(document, Refusal):
        return document
    if OperationType.MUTATION not in _operations(document):
        return None
    return Refusal(403, "this view of the UI is read-only") if read_only else None


def _read(body: bytes) -> dict[str, Any] | Refusal:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return Refusal(400, "the body is not JSON")
    if not isinstance(asked, dict) or not isinstance(asked.get("query"), str):
        return Refusal(400, "the body is no object with a text 'query'")
    return asked


def _parsed(query: str) -> DocumentNode | Refusal:
    try:
        return parse(query, max_tokens=MAX_TOKENS)
    except (GraphQLError, RecursionError):
        return Refusal(400, "'query' is no GraphQL document")


def _operations(document: DocumentNode) -> set[OperationType]:
    return {node.operation for node in document.definitions if isinstance(node, OperationDefinitionNode)}
