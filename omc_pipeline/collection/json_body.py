"""Read a response body as JSON with exact numbers."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation

from omc_infra.payload import Payload
from omc_pipeline.collection.body import changed, decoded, markup_error, sound_body

Document = dict[str, "Json"] | list["Json"]
Json = dict[str, "Json"] | list["Json"] | str | int | Decimal | bool | None

_LONGEST_NUMBER = 64


def read_json(payload: Payload) -> Document:
    """Return the object or list a body holds.

    Numbers with a fraction or exponent are ``Decimal``, others ``int``. A number of absurd length or exponent, and the
    constants NaN and Infinity, stay the text they were, which no reader of values accepts.

    Raises:
        UpstreamRefusedError: The body is an HTML page or an XML error.
        AccessDeniedError: The body is an XML error of the kind AccessDenied.
        PayloadChangedError: The body is empty, too large, no JSON, or neither object nor list.
    """
    sound_body(payload)
    error_document = markup_error(payload, "JSON")
    if error_document is not None:
        raise error_document
    try:
        document = json.loads(decoded(payload), parse_float=_number, parse_int=_integer, parse_constant=str)
    except json.JSONDecodeError as error:
        raise changed(payload, f"body is not JSON: {error.msg} at character {error.pos:,} of {len(error.doc):,}") from error
    except RecursionError as error:
        raise changed(payload, "body is nested too deep to be an answer") from error
    if not isinstance(document, (dict, list)):
        raise changed(payload, f"body is a bare {_kind(document)}, not an object or a list")
    return document


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
