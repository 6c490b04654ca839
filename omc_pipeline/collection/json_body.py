"""Read a response body as JSON with exact numbers."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation

from omc_infra.payload import Payload
from omc_pipeline.collection.body import changed, decoded, markup_error, one_line, require_memory, sound_body

Document = dict[str, "Json"] | list["Json"]
Json = dict[str, "Json"] | list["Json"] | str | int | Decimal | bool | None

_LONGEST_NUMBER = 64
_MOST_VALUES = 3_000_000
"""A body with more values is refused before it is read: as objects of Python they take a hundred times the room of their text."""
_MEMORY_OF = {b",": 8, b".": 104, b"[": 88, b"{": 184, b"{}": -120, b'"': 30}
"""Bytes for a place in a list, a Decimal, a list, an object, an empty one, half a text."""


class _RepeatedKeyError(ValueError):
    """One object holds a key twice; which of the values is meant, nobody knows."""


def read_json(payload: Payload) -> Document:
    """Return the object or list a body holds.

    Numbers with a fraction or exponent are ``Decimal``, others ``int``. A number of absurd length or exponent, and the
    constants NaN and Infinity, stay the text they were, which no reader of values accepts.

    Raises:
        UpstreamRefusedError: The body is an HTML page or an XML error.
        AccessDeniedError: The body is an XML error of the kind AccessDenied.
        PayloadChangedError: The body is empty, too large, would take too much memory, is no JSON, neither object nor list, or an object
            in it holds a key twice.
    """
    body = sound_body(payload)
    if body.count(b",") + body.count(b"[") + body.count(b"{") > _MOST_VALUES:
        raise changed(payload, f"body holds more than {_MOST_VALUES:,} values")
    require_memory(payload, _MEMORY_OF)
    error_document = markup_error(payload, "JSON")
    if error_document is not None:
        raise error_document
    try:
        document = json.loads(decoded(payload), parse_float=_number, parse_int=_integer, parse_constant=str, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise changed(payload, f"body is not JSON: {error.msg} at character {error.pos:,} of {len(error.doc):,}") from error
    except _RepeatedKeyError as error:
        raise changed(payload, f"an object holds the key '{one_line(str(error), 40)}' twice") from error
    except RecursionError as error:
        raise changed(payload, "body is nested too deep to be an answer") from error
    if not isinstance(document, (dict, list)):
        raise changed(payload, f"body is a bare {_kind(document)}, not an object or a list")
    return document


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedKeyError(next(name for name in names if names.count(name) > 1))
    return members


def _kind(value: str | int | Decimal | bool | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "truth value"
    return "text" if isinstance(value, str) else "number"


def _number(text: str) -> Decimal | str:
    if len(text) > _LONGEST_NUMBER:
        return text[:_LONGEST_NUMBER] + "…"
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return number if -_LONGEST_NUMBER < number.adjusted() < _LONGEST_NUMBER else text


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= _LONGEST_NUMBER else text[:_LONGEST_NUMBER] + "…"
