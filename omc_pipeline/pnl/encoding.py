"""The bytes of a file into text: the encodings that spreadsheets write, and one clear line for all others."""

from __future__ import annotations

import codecs

from omc_infra.errors import BadInputError

MOST_BYTES = 128 * 1024 * 1024
"""Largest file of trades or prices that is read: about two million trades. Memory stays below 40 times the file's size."""

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def decoded(content: bytes) -> str:
    """Decode UTF-8, with or without a byte order mark, or UTF-16 with one.

    Raises:
        BadInputError: Another encoding, or no text; the message says where, and what to do.
    """
    mark, encoding = next(((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", "utf-8"))
    try:
        text = content[len(mark) :].decode(encoding) if mark else content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInputError(
            f"line {line}: not text in {encoding.upper()[:6].rstrip('-')}; save the file as CSV UTF-8 or as JSON"
        ) from error
    at = text.find("\x00")
    if at >= 0:
        line = text.count("\n", 0, at) + 1
        raise BadInputError(f"line {line}: holds a zero byte, so it is binary or UTF-16 without a mark; save it as CSV UTF-8 or as JSON")
    return text


def too_large(size_bytes: int | None = None) -> BadInputError:
    """Return the error for a file beyond the limit."""
    size = "more" if size_bytes is None else f"{size_bytes / 1024**2:,.0f} MiB"
    return BadInputError(
        f"holds {size}, and at most {MOST_BYTES // 1024**2} MiB are read; split it by coin, whose gains don't depend on each other"
    )
