"""Structured logs on stderr: one event and its fields a line, secrets struck out before they are written."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from omc_infra.settings import Settings

_SECRET_FIELD = re.compile(r"(password|secret|token|api_?key|authorization|signature|^key$|^sign$)", re.IGNORECASE)
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/@\s:]+:[^/@\s]+@")
_URL_SECRET_PARAMETER = re.compile(r"(?i)([?&](?:auth_token|api_?key|token|key|secret|signature)=)[^&\s\"']+")
STRUCK = "[redacted]"


def redact(text: str) -> str:
    """Strike credentials and secret query parameters out of the URLs of a text."""
    return _URL_SECRET_PARAMETER.sub(rf"\1{STRUCK}", _URL_CREDENTIALS.sub(f"{STRUCK}@", text))


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
            _strike_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr, force=False)


def _strike_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if _SECRET_FIELD.search(name):
            event[name] = STRUCK
        elif isinstance(value, str):
            event[name] = redact(value)
    return event
