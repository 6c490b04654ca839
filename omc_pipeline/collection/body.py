"""Recognize response bodies that are not data: too large, empty, an HTML page, an XML error.

Upstreams report errors in many forms (XML under a .json address, a block page with status 200), and a saved body has
no status, so a parser must recognize them from the bytes alone. Messages contain only shortened text of a body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from omc_infra.errors import AccessDeniedError, OmcError, PayloadChangedError, UpstreamRefusedError
from omc_infra.payload import Payload

MAX_BODY_BYTES = 40_000_000
"""Larger bodies are refused unread; the largest one asked for, a protocol's whole history, is below 30 MB."""

MOST_MEMORY_BYTES = 260_000_000
"""A body that would take more memory as objects of Python is refused unread; a protocol's whole history of 30 MB takes about so much."""

_XML_CODE = re.compile(rb"<Code>\s*([^<]{1,80})", re.IGNORECASE)
_XML_MESSAGE = re.compile(rb"<Message>\s*([^<]{1,160})", re.IGNORECASE)
_HTML_MARKS = (b"<!doctype html", b"<html", b"<head", b"<body")
_HTML_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,120})", re.IGNORECASE)
_HEAD_BYTES = 4096
_LEAD = b"\xef\xbb\xbf \t\r\n"


def sound_body(payload: Payload) -> bytes:
    """Return a body that is neither empty nor too large.

    Raises:
        PayloadChangedError: It is.
    """
    if len(payload.body) > MAX_BODY_BYTES:
        raise changed(payload, f"body of {len(payload.body):,} bytes is over the limit of {MAX_BODY_BYTES:,}")
    if not payload.body.strip():
        raise changed(payload, "body is empty")
    return payload.body


def require_memory(payload: Payload, memory_of: Mapping[bytes, int]) -> None:
    """Raise if a body would need too much memory to parse.

    Args:
        payload: The body.
        memory_of: Bytes of memory that each occurrence of a mark of its format costs.

    Raises:
        PayloadChangedError: It would.
    """
    memory_bytes = sum(payload.body.count(mark) * size_bytes for mark, size_bytes in memory_of.items())
    if memory_bytes > MOST_MEMORY_BYTES:
        raise changed(payload, f"body of {len(payload.body):,} bytes would take some {memory_bytes / 1e6:,.0f} MB of memory to read")


def decoded(payload: Payload) -> str:
    """Return a sound body as text.

    Raises:
        PayloadChangedError: It is not UTF-8, empty or too large.
    """
    try:
        return sound_body(payload).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise changed(payload, f"body is not text: byte {error.start} is not UTF-8") from error


def changed(payload: Payload, what: str) -> PayloadChangedError:
    """Create the error that says what is wrong with a body."""
    return PayloadChangedError(f"{payload.source}: {what}")


def is_html(body: bytes) -> bool:
    """Return whether a body starts like an HTML page."""
    head = body[:_HEAD_BYTES].lstrip(_LEAD).lower()
    return head.startswith(b"<") and any(mark in head for mark in _HTML_MARKS)


def html_title(body: bytes) -> str:
    """Return a description of an HTML page with its shortened title."""
    title = _HTML_TITLE.search(body[:_HEAD_BYTES])
    return f"titled '{one_line(title[1])}'" if title else "without a title"


def one_line(text: bytes | str, longest: int = 120) -> str:
    """Shorten external text for a message: one line, no control characters."""
    decoded = text[: 4 * longest].decode("utf-8", "replace") if isinstance(text, bytes) else text[: 4 * longest]
    printable = "".join(character if character.isprintable() else " " for character in decoded)
    flat = " ".join(printable.split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def markup_error(payload: Payload, wanted: str) -> OmcError | None:
    """Return the error that an HTML page or XML error document means; None for other bodies.

    Args:
        payload: The body.
        wanted: What it should be, ``JSON`` say; XML that is no error is no error only where XML is wanted.
    """
    head = payload.body[:_HEAD_BYTES]
    if is_html(head):
        return UpstreamRefusedError(
            f"{payload.source}: an HTML page instead of {wanted}, {html_title(head)}; probably a block or error page"
        )
    if not head.lstrip(_LEAD).startswith(b"<"):
        return None
    code = _XML_CODE.search(head)
    if code is None:
        return None if wanted == "XML" else UpstreamRefusedError(f"{payload.source}: an XML document instead of {wanted}")
    name = one_line(code[1])
    message = _XML_MESSAGE.search(head)
    details = f"{payload.source}: XML error {name}: {one_line(message[1]) if message else 'no message'}"
    if name == "AccessDenied":
        return AccessDeniedError(f"{details} (HTTP 403, or the file does not exist)")
    return UpstreamRefusedError(f"{details} (HTTP 404)" if name == "NoSuchKey" else details)
