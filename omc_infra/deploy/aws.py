"""Calls of AWS: the one place that knows boto3, and that turns its failures into errors of OMC.

Keys and endpoints come from where AWS's own tools take them (``AWS_PROFILE``, ``AWS_ENDPOINT_URL``, the role of the machine).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from omc_infra.errors import (
    AccessDeniedError,
    ConfigurationError,
    OmcError,
    RateLimitedError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from omc_infra.logs import redact
from omc_infra.terminal import one_line

_THROTTLED = (
    "Throttling",
    "TooManyRequests",
    "RequestLimitExceeded",
    "ProvisionedThroughputExceeded",
    "SlowDown",
    "LimitExceededException",
)
_DENIED = ("AccessDenied", "UnauthorizedOperation", "InvalidClientTokenId", "UnrecognizedClient", "SignatureDoesNotMatch", "ExpiredToken")
_CONNECT_S, _READ_S = 10, 60


class AwsRefusedError(UpstreamRefusedError):
    """AWS answered a call with an error; ``code`` is AWS's name of it."""

    advice = "Read the message: it is AWS's own, and names the call. Often the name in the section of `omc.toml` is not the one in AWS."

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Aws:
    """Clients of one region, made when they are first used; calls may come from several threads.

    Args:
        region: Of all clients.
        attempts: How often a call is tried, with waits that grow to 20 s, where AWS throttles it or doesn't answer.
    """

    def __init__(self, region: str, attempts: int) -> None:
        self._region, self._attempts = region, attempts
        self._session: Any = None
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def call(self, service: str, operation: str, /, *, hidden: Sequence[str] = (), **parameters: Any) -> dict[str, Any]:
        """Call an operation, named as boto3 does, and return its answer.

        Args:
            service: Name of the service.
            operation: Name of the operation.
            hidden: Secrets among the parameters; they are cut out of messages.
            parameters: Of the operation.

        Raises:
            OmcError: AWS refuses, throttles too long or can't be reached, or keys are missing.
        """
        try:
            answer: dict[str, Any] = getattr(self._client(service), operation)(**parameters)
        except Exception as error:
            failure = _failure(error, f"{service} {operation}", hidden)
            if failure is None:
                raise
            raise failure from (None if hidden else error)
        return answer

    def _client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._new_client(service)
            return self._clients[service]

    def _new_client(self, service: str) -> Any:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise ConfigurationError('deployments need boto3: `pip install "omc[aws]"`, or `uv sync --inexact --extra aws`') from error
        self._session = self._session or boto3.session.Session(region_name=self._region)
        retries = {"mode": "standard", "total_max_attempts": self._attempts}
        return self._session.client(service, config=Config(retries=retries, connect_timeout=_CONNECT_S, read_timeout=_READ_S))


def _failure(error: Exception, call: str, hidden: Sequence[str]) -> OmcError | None:
    """Return the error of OMC for one of botocore's; None for any other."""
    from botocore import exceptions

    def said(text: object) -> str:
        shown = redact(one_line(text))
        for secret in hidden:
            shown = shown.replace(secret, "[secret]")
        return shown[:500]

    if isinstance(error, exceptions.ClientError):
        answer = error.response.get("Error", {})
        code = str(answer.get("Code", "")) or "Unknown"
        message = f"AWS refuses {call}: {code}: {said(answer.get('Message', ''))}"
        if any(mark in code for mark in _THROTTLED):
            return RateLimitedError(message)
        if any(mark in code for mark in _DENIED):
            return AccessDeniedError(message)
        return AwsRefusedError(message, code)
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError | exceptions.ProfileNotFound):
        return ConfigurationError(f"no keys of AWS: {said(error)}; set AWS_PROFILE, or run where a role is given")
    if isinstance(error, exceptions.HTTPClientError | exceptions.IncompleteReadError):
        return UpstreamUnavailableError(f"{call}: AWS does not answer: {type(error).__name__}")
    if isinstance(error, exceptions.ParamValidationError):
        return ConfigurationError(f"{call}: a name or value in the section is not one that AWS takes: {said(error)}")
    if isinstance(error, exceptions.BotoCoreError):
        return ConfigurationError(f"{call}: {said(error)}")
    return None
