"""The one place where a provider's failure becomes one of ours.

What is told is the provider, the status, its code and its id of the request. A message of a provider may echo the key or the prompt,
so none of its words travel on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from omc_agents.models.exchange import Exchange
from omc_infra.clock import utc_now
from omc_infra.errors import (
    BadInputError,
    ConfigurationError,
    OmcError,
    PayloadChangedError,
    QuotaExhaustedError,
    RateLimitedError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from omc_infra.http.failures import failure, retry_after_s

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,60}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
_NO_MONEY = frozenset({"insufficient_quota", "billing_error", "billing_hard_limit_reached", "billing_not_active"})
_TOO_LONG_CODES = frozenset({"context_length_exceeded", "request_too_large"})
_TOO_LONG_WORDS = re.compile(
    r"prompt is too long|exceeds? the (?:maximum|context)|input token count|context (?:window|length)", re.IGNORECASE
)
_NO_MONEY_WORDS = re.compile(r"credit balance|billing|prepa(?:id|yment)", re.IGNORECASE)
_WRONG_KEY_REASONS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED"})
_REQUEST_IDS = ("x-request-id", "request-id", "x-goog-request-id")
_WAITS_MS = ("retry-after-ms",)
_OVERLOADED = frozenset({"overloaded_error", "api_error", "server_error", "internal_error", "timeout_error"})


class ContextTooLongError(BadInputError):
    """The prompt is longer than the model can read."""

    advice = "Choose a model with a larger context (`omc models list`), or ask about less."


class RefusalError(UpstreamRefusedError):
    """The model declined to answer."""

    advice = "Nothing is wrong with the platform: the provider's policy refused this text. Another model may answer it."


class UnansweredError(UpstreamUnavailableError):
    """The connection ended before the answer was whole; whether the call is billed is not known."""

    advice = "Nothing: the call counts as spent and is made once more. If it comes back, look at the network or raise `deadline_s`."


def failure_of(provider: str, exchange: Exchange, error: Exception) -> OmcError:
    """Name what went wrong in an exchange that an SDK gave up.

    Args:
        provider: Whom we asked.
        exchange: What went over the wire.
        error: What the SDK raised; only its class is told.
    """
    if exchange.refused:
        return ConfigurationError(f"{provider}: {exchange.refused}")
    if exchange.status is None:
        return UpstreamUnavailableError(f"{provider}: no connection") if not exchange.is_sent else _unanswered(provider, error)
    if exchange.status >= 400:
        return _of_status(provider, exchange)
    if not exchange.is_complete:
        return _unanswered(provider, error)
    return _of_stream(provider, exchange, error)


def request_id_of(headers: Mapping[str, str]) -> str:
    """Return the provider's id of a request; empty where it gives none."""
    found = next((headers[name] for name in _REQUEST_IDS if name in headers), "")
    return found if _REQUEST_ID.fullmatch(found) else ""


def _unanswered(provider: str, error: Exception) -> UnansweredError:
    return UnansweredError(f"{provider}: no whole answer ({type(error).__name__}); the call counts as spent")


def _of_status(provider: str, exchange: Exchange) -> OmcError:
    status = exchange.status or 0
    document = _error_of(exchange.head)
    codes = _codes(document)
    words = str(document.get("message", ""))
    details = _details(provider, status, codes, request_id_of(exchange.headers))
    wait_s = _wait_s(exchange.headers)
    if codes & _NO_MONEY or (status in (400, 402, 403) and _NO_MONEY_WORDS.search(words)):
        return QuotaExhaustedError(f"{details}: the account has no money left")
    if codes & _TOO_LONG_CODES or status == 413 or (status == 400 and _TOO_LONG_WORDS.search(words)):
        return ContextTooLongError(f"{details}: the prompt is too long for the model")
    if codes & _WRONG_KEY_REASONS:
        return failure(401, details) or UpstreamRefusedError(details)
    return failure(status, details, wait_s) or UpstreamRefusedError(details)


def _of_stream(provider: str, exchange: Exchange, error: Exception) -> OmcError:
    """Name the failure of an answer that began well: an error within a stream, or a body that can't be read."""
    codes = _codes(_error_of_body(getattr(error, "body", None)))
    details = _details(provider, exchange.status or 0, codes, request_id_of(exchange.headers))
    if codes & {"rate_limit_error", "rate_limit_exceeded"}:
        return RateLimitedError(f"{details}: the answer broke off")
    if codes & _OVERLOADED:
        return UnansweredError(f"{details}: the answer broke off; the call counts as spent")
    return PayloadChangedError(f"{details}: the answer can't be read ({type(error).__name__})")


def _details(provider: str, status: int, codes: frozenset[str], request_id: str) -> str:
    shown = [f"{provider} answered {status}", *sorted(codes), *([f"request {request_id}"] if request_id else [])]
    return ", ".join(shown)


def _wait_s(headers: Mapping[str, str]) -> float | None:
    for name in _WAITS_MS:
        if re.fullmatch(r"\d{1,9}", headers.get(name, "")):
            return int(headers[name]) / 1000
    return retry_after_s(headers.get("retry-after"), utc_now())


def _error_of(body: bytes) -> Mapping[str, Any]:
    try:
        return _error_of_body(json.loads(body))
    except ValueError:
        return {}


def _error_of_body(document: object) -> Mapping[str, Any]:
    if isinstance(document, list) and document:  # Gemini's streams
        document = document[0]
    if not isinstance(document, Mapping):
        return {}
    inner = document.get("error", document)
    return inner if isinstance(inner, Mapping) else {}


def _codes(document: Mapping[str, Any]) -> frozenset[str]:
    """Return the machine-readable codes of an error: words without spaces, so that no echoed text is among them."""
    details = document.get("details")
    reasons = [each.get("reason") for each in details if isinstance(each, Mapping)] if isinstance(details, list) else []
    found = (document.get("code"), document.get("type"), document.get("status"), *reasons)
    return frozenset(code for code in found if isinstance(code, str) and _CODE.fullmatch(code) and not _looks_like_key(code))


def _looks_like_key(code: str) -> bool:
    return any(character.isdigit() for character in code) or len(code) > 40
