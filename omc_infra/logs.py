"""Structured logs on stderr: one event with its fields per line, without secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from omc_infra.settings import Settings
from omc_infra.terminal import visible

_SECRET_FIELD = re.compile(
    r"(?:^|[_-])(?:password|passphrase|secret|token|api_?key|key|authorization|signature|sign|cookie)$", re.IGNORECASE
)
"""The last word of a field's name says what it holds: ``access_token`` is a secret, ``input_tokens`` and ``key_count`` are not."""
_DEEPEST = 8
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/@\s:]+:[^/@\s]+@")
_URL_SECRET_PARAMETER = re.compile(r"(?i)([?&](?:auth_token|api_?key|token|key|secret|signature)=)[^&\s\"']+")
REDACTED = "[redacted]"


def redact(text: str) -> str:
    """Remove credentials and secret query parameters from the URLs in a text."""
    return _URL_SECRET_PARAMETER.sub(rf"\1{REDACTED}", _URL_CREDENTIALS.sub(f"{REDACTED}@", text))


def configure_logs(settings: Settings) -> None:
    """Send structlog and the standard library's loggers to stderr in the configured format."""
    json_lines = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    level = getattr(logging, settings.log_level.upper())
    renderer: Any = structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_event,
            *([] if json_lines else [_visible_event]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(VisibleFormatter(logging.BASIC_FORMAT))
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[lines], force=False)


class VisibleFormatter(logging.Formatter):
    """Formatter for the standard library's loggers that escapes control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; its breaks and tabs stay."""
        return visible(super().format(record))


def _visible_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: visible(value) if isinstance(value, str) else value for name, value in event.items()}


def _redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: redact_value(name, value) for name, value in event.items()}


def redact_value(name: str, value: object, depth: int = _DEEPEST) -> object:
    """Return a logged value without secrets, including nested ones.

    Args:
        name: Of the field; one that says *secret* has its value replaced whatever it is.
        value: Texts are redacted as by ``redact``; mappings and sequences are gone through.
        depth: Levels still gone through; what lies deeper is not logged.
    """
    if _SECRET_FIELD.search(name) and value is not None and not isinstance(value, bool):
        return REDACTED
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, (Mapping, list, tuple)) and depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {key: redact_value(str(key), inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact_value("", inner, depth - 1) for inner in value]
    return value
