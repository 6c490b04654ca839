"""One request and its whole answer, within one deadline."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from omc_infra.errors import ConfigurationError, UpstreamRefusedError, UpstreamUnavailableError
from omc_infra.http.deadline import Deadline, DeadlineBackend

_LOGGERS_OF_REQUESTS = ("httpx2", "httpcore2")
"""They write URLs and headers, with their keys, at levels below warning."""


@dataclass(frozen=True)
class Answer:
    """Status, headers (case-insensitive) and the whole body, decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """Content-Type without parameters, lower case; empty where none was given."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Wire:
    """Connections to one upstream, kept open between requests.

    Beyond this machine it goes through the proxies of the environment and trusts the usual certificate authorities. On
    loopback there is no proxy and no TLS, and reading the authorities' certificates would take longer than a request.
    """

    def __init__(self, user_agent: str, *, loopback: bool) -> None:
        verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if loopback else True
        self._client = httpx2.Client(headers={"User-Agent": user_agent}, trust_env=not loopback, verify=verify, follow_redirects=False)
        self._deadline = Deadline()
        _bound(self._client, self._deadline)
        quiet_request_logs()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def ask(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None, timeout_s: float, deadline: float, max_bytes: int
    ) -> Answer:
        """Send one request and read its answer to the end.

        Args:
            method: HTTP method.
            url: Whole URL; it appears in no message of this file, for it may hold a key.
            headers: Beside the User-Agent.
            content: Exact bytes of the body, or None.
            timeout_s: Longest silence.
            deadline: Latest end of the whole, of ``time.monotonic``.
            max_bytes: Largest body, counted after decompression.

        Raises:
            UpstreamUnavailableError: Not reachable, connection broken, body cut or garbled, too slow.
            UpstreamRefusedError: The body is larger than ``max_bytes``.
            ConfigurationError: The URL is malformed.
        """
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise UpstreamUnavailableError("no time is left before the deadline")
        self._deadline.at = deadline
        try:
            with self._client.stream(method, url, headers=dict(headers), content=content, timeout=timeout_s) as response:
                return Answer(response.status_code, response.headers, _whole_body(response, max_bytes))
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, UnicodeError) as error:
            raise ConfigurationError(f"the request cannot be sent, {type(error).__name__}; check the base URL and the keys") from error
        except httpx2.RequestError as error:
            raise UpstreamUnavailableError(_reason(error, deadline)) from error


def quiet_request_logs() -> None:
    """Keep the HTTP libraries from logging requests."""
    for name in _LOGGERS_OF_REQUESTS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _bound(client: httpx2.Client, deadline: Deadline) -> None:
    """Apply the deadline to each connection of a client, including connections through proxies.

    httpx2 hands no network backend through to httpcore2, so it is set where httpcore2 keeps it.
    """
    for transport in (client._transport, *client._mounts.values()):
        if transport is not None:
            bind_deadline(transport, deadline)


def bind_deadline(transport: httpx2.BaseTransport, deadline: Deadline) -> None:
    """Apply a deadline to each connection of a transport.

    Raises:
        RuntimeError: This release of httpx2 keeps its network backend elsewhere.
    """
    pool = getattr(transport, "_pool", None)
    if pool is None or not hasattr(pool, "_network_backend"):
        raise RuntimeError("httpx2 keeps its network backend elsewhere: deadlines would not hold")
    pool._network_backend = DeadlineBackend(deadline)


def _whole_body(response: httpx2.Response, max_bytes: int) -> bytes:
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise UpstreamRefusedError(f"the body is {announced} bytes, more than the {max_bytes} allowed")
    chunks: list[bytes] = []
    size_bytes = 0
    for chunk in response.iter_bytes():
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise UpstreamRefusedError(f"the body is more than the {max_bytes} bytes allowed")
        chunks.append(chunk)
    return b"".join(chunks)


def _reason(error: httpx2.RequestError, deadline: float) -> str:
    if time.monotonic() >= deadline:
        return "no complete answer before the deadline"
    if isinstance(error, httpx2.TimeoutException):
        return f"no answer in time ({type(error).__name__})"
    return f"connection failed ({type(error).__name__}: {error})" if str(error) else f"connection failed ({type(error).__name__})"
