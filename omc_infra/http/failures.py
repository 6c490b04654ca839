"""Convert HTTP answers to errors of OMC; the only place that does."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime

from omc_infra.errors import (
    AccessDeniedError,
    OmcError,
    QuotaExhaustedError,
    RateLimitedError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)

_SUCCESS = range(200, 300)
_MARKUP = re.compile(r"<[^>]*>")
_SECONDS = re.compile(r"\d{1,9}")
_EXCERPT_CHARS = 160


def failure(status: int, message: str, retry_after_s: float | None = None) -> OmcError | None:
    """Return the error that a status means.

    Args:
        status: HTTP status of a final answer; a 304 counts as refused, since whoever expects one has read it before.
        message: One line with host, request and answer.
        retry_after_s: The wait the upstream asked for.

    Returns:
        The failure to raise, or None for a success.
    """
    if status in _SUCCESS:
        return None
    if status == 429:
        return RateLimitedError(message, retry_after_s=retry_after_s)
    if status in (408, 425) or status >= 500:
        return UpstreamUnavailableError(message, retry_after_s=retry_after_s)
    if status in (401, 403):
        return AccessDeniedError(message)
    return QuotaExhaustedError(message) if status == 402 else UpstreamRefusedError(message)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Read a ``Retry-After``: seconds or an HTTP date (RFC 9110, 10.2.3).

    Returns:
        Seconds from now, never negative; None where the header is missing or is neither.
    """
    text = (header or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):  # TypeError: a date without a zone
        return None


def excerpt(body: bytes) -> str:
    """Return the first words of a body in one line, markup left out; empty for an empty body."""
    text = _MARKUP.sub(" ", body[:4096].decode("utf-8", "replace"))
    words = " ".join((text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)).split())
    return words if len(words) <= _EXCERPT_CHARS else f"{words[:_EXCERPT_CHARS]}…"
