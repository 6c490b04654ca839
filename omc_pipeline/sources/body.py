"""Read a response body as JSON with exact numbers, and name what else it may be.

Upstreams answer errors in shapes of their own (XML under a .json address, a block page with status 200), and a saved body has
no status beside it; so whoever parses must be able to tell from the bytes alone. No text of a body reaches a message unshortened.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation

from omc_infra.errors import AccessDeniedError, OmcError, PayloadChangedError, UpstreamRefusedError
from omc_infra.payload import Payload

MAX_BODY_BYTES = 40_000_000
"""Larger bodies are refused unread; the largest one asked for, a protocol's whole history, is below 30 MB."""

Document = dict[str, "Json"] | list["Json"]
Json = dict[str, "Json"] | list["Json"] | str | int | Decimal | bool | None

_LONGEST_NUMBER = 64
_XML_CODE = re.compile(rb"<Code>\s*([^<]{1,80})", re.IGNORECASE)
_XML_MESSAGE = re.compile(rb"<Message>\s*([^<]{1,160})", re.IGNORECASE)
_HTML_MARKS = (b"<!doctype html", b"<html", b"<head", b"<body")
_HTML_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,120})", re.IGNORECASE)
_HEAD_BYTES = 4096
_LEAD = b"\xef\xbb\xbf \t\r\n"


def read_json(payload: Payload) -> Document:
    """Answer the object or list a body holds.

    Numbers with a fraction or exponent are ``Decimal``, others ``int``. A number of absurd length or exponent, and the
    constants NaN and Infinity, stay the text they were, which no reader of values accepts.

    Raises:
        UpstreamRefusedError: The body is an HTML page or an XML error.
        AccessDeniedError: The body is an XML error of the kind AccessDenied.
        PayloadChangedError: The body is empty, too large, no JSON, or neither object nor list.
    """
    body = payload.body
    if len(body) > MAX_BODY_BYTES:
        raise _changed(payload, f"body of {len(body):,} bytes is over the limit of {MAX_BODY_BYTES:,}")
    if not body.strip():
        raise _changed(payload, "body is empty")
    stranger = _stranger(payload)
    if stranger is not None:
        raise stranger
    try:
        document = json.loads(body.decode("utf-8-sig"), parse_float=_number, parse_int=_integer, parse_constant=str)
    except UnicodeDecodeError as error:
        raise _changed(payload, f"body is not text: byte {error.start} is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise _changed(payload, f"body is not JSON: {error.msg} at character {error.pos:,} of {len(error.doc):,}") from error
    except RecursionError as error:
        raise _changed(payload, "body is nested too deep to be an answer") from error
    if not isinstance(document, (dict, list)):
        raise _changed(payload, f"body is a bare {_kind(document)}, not an object or a list")
    return document


def _kind(value: str | int | Decimal | bool | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "truth value"
    return "text" if isinstance(value, str) else "number"


def is_html(body: bytes) -> bool:
    """Answer whether a body opens like an HTML page."""
    head = body[:_HEAD_BYTES].lstrip(_LEAD).lower()
    return head.startswith(b"<") and any(mark in head for mark in _HTML_MARKS)


def html_title(body: bytes) -> str:
    """Answer the shortened title of an HTML page in words."""
    title = _HTML_TITLE.search(body[:_HEAD_BYTES])
    return f"titled '{one_line(title[1])}'" if title else "without a title"


def one_line(text: bytes | str, longest: int = 120) -> str:
    """Shorten outside text so that it fits a message: one line, no control characters."""
    decoded = text[: 4 * longest].decode("utf-8", "replace") if isinstance(text, bytes) else text[: 4 * longest]
    printable = "".join(character if character.isprintable() else " " for character in decoded)
    flat = " ".join(printable.split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def _stranger(payload: Payload) -> OmcError | None:
    """Name the error a body is when it is HTML or XML; None when it may be JSON."""
    head = payload.body[:_HEAD_BYTES]
    if is_html(head):
        return UpstreamRefusedError(f"{payload.source}: an HTML page instead of JSON, {html_title(head)}; a block or error page")
    if not head.lstrip(_LEAD).startswith(b"<"):
        return None
    code = _XML_CODE.search(head)
    if code is None:
        return UpstreamRefusedError(f"{payload.source}: an XML document instead of JSON")
    name = one_line(code[1])
    message = _XML_MESSAGE.search(head)
    told = f"{payload.source}: XML error {name}: {one_line(message[1]) if message else 'no message'}"
    if name == "AccessDenied":
        return AccessDeniedError(f"{told} (HTTP 403; the store says so of a file that does not exist, too)")
    return UpstreamRefusedError(f"{told} (HTTP 404)" if name == "NoSuchKey" else told)


def _changed(payload: Payload, what: str) -> PayloadChangedError:
    return PayloadChangedError(f"{payload.source}: {what}")


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
