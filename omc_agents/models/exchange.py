"""The wire below the providers' SDKs: one host, our own key, one deadline, no proxy but ours.

An SDK takes addresses, headers, accounts and even keys from the environment, each release from other variables. So none of it decides
what is sent: the SDK is given a key that is none, and the last step before the network sends a request only to the host that was named,
with those headers only that are allowed, and puts the key in itself. An SDK that never has the key can neither log nor lose it.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr

from omc_infra.http.deadline import Deadline
from omc_infra.http.wire import bind_deadline, quiet_request_logs

NO_KEY = "the-key-is-added-on-the-wire"
"""What an SDK is given as its key."""
LARGEST_BODY_BYTES = 16 * 1024 * 1024
_HEAD_BYTES = 64 * 1024
_ALLOWED = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "transfer-encoding", "user-agent"}
)


@dataclass(frozen=True)
class Endpoint:
    """Where a provider is asked, and how it is told who asks.

    Attributes:
        base_url: Without a slash at its end.
        key_header: Header that holds the key.
        key_prefix: Before the key, such as ``Bearer``.
        headers: Further headers that its SDK may send.
        proxy: URL of the proxy on the way, or None.
    """

    base_url: str
    key_header: str
    key_prefix: str = ""
    headers: frozenset[str] = frozenset()
    proxy: str | None = None


@dataclass
class Exchange:
    """What one call saw on the wire; ``head`` is the beginning of the body, ``sha256`` of all of it."""

    refused: str = ""
    is_sent: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    head: bytes = b""
    is_complete: bool = False
    sha256: str = ""


class ProviderWire(httpx2.BaseTransport):
    """Sends what an SDK hands down, if it goes where it should; one call of a thread at a time."""

    def __init__(self, endpoint: Endpoint, key: SecretStr) -> None:
        quiet_request_logs()
        self._endpoint, self._key = endpoint, key
        self._deadline = Deadline()
        verify: ssl.SSLContext | bool = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_loopback(endpoint.base_url) else True
        self._inner = httpx2.HTTPTransport(verify=verify, proxy=endpoint.proxy, trust_env=False, retries=0)
        bind_deadline(self._inner, self._deadline)
        self._calls = threading.local()

    def client(self) -> httpx2.Client:
        """Return the HTTP client for an SDK; it reads nothing of the environment and follows no redirect."""
        return httpx2.Client(transport=self, trust_env=False, follow_redirects=False)

    def begin(self, deadline_s: float) -> Exchange:
        """Begin a call that ends within some seconds."""
        self._deadline.at = time.monotonic() + deadline_s
        self._calls.exchange = Exchange()
        return self.exchange

    @property
    def exchange(self) -> Exchange:
        """The present call of this thread."""
        found: Exchange | None = getattr(self._calls, "exchange", None)
        if found is None:
            raise RuntimeError("nothing is sent outside a call")
        return found

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        exchange = self.exchange
        if not _is_below(str(request.url), self._endpoint.base_url):
            exchange.refused = f"a request to {request.url.host or '?'} was stopped; only {self._endpoint.base_url} is asked"
            raise httpx2.UnsupportedProtocol(exchange.refused)
        for name in list(request.headers):
            if name.lower() not in _ALLOWED | self._endpoint.headers:
                del request.headers[name]
        request.headers["accept-encoding"] = "identity"
        request.headers[self._endpoint.key_header] = f"{self._endpoint.key_prefix}{self._key.get_secret_value()}"
        try:
            response = self._inner.handle_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError):
            raise
        except httpx2.RequestError:
            exchange.is_sent = True
            raise
        finally:
            del request.headers[self._endpoint.key_header]  # exceptions carry their request
        exchange.is_sent, exchange.status, exchange.headers = True, response.status_code, dict(response.headers)
        return httpx2.Response(
            response.status_code, headers=response.headers, stream=_Watched(response, exchange), extensions=response.extensions
        )

    def close(self) -> None:
        """Close all connections."""
        self._inner.close()


class _Watched(httpx2.SyncByteStream):
    """A body whose digest, head and end are noted as it is read."""

    def __init__(self, response: httpx2.Response, exchange: Exchange) -> None:
        self._response, self._exchange = response, exchange

    def __iter__(self) -> Iterator[bytes]:
        digest, size_bytes, head = hashlib.sha256(), 0, b""
        stream = self._response.stream
        if not isinstance(stream, httpx2.SyncByteStream):
            raise TypeError("the answer of a synchronous call must be read synchronously")
        for chunk in stream:
            size_bytes += len(chunk)
            if size_bytes > LARGEST_BODY_BYTES:
                raise httpx2.ReadError(f"the body is more than the {LARGEST_BODY_BYTES} bytes allowed")
            digest.update(chunk)
            head += chunk[: _HEAD_BYTES - len(head)]
            self._exchange.head = head
            yield chunk
        self._exchange.sha256, self._exchange.is_complete = digest.hexdigest(), True

    def close(self) -> None:
        self._response.close()


def is_loopback(url: str) -> bool:
    """Say whether a URL leads to this machine, without TLS."""
    parts = urlsplit(url)
    try:
        return parts.scheme == "http" and (parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback)
    except ValueError:
        return False


def _is_below(url: str, base_url: str) -> bool:
    asked, base = httpx2.URL(url), httpx2.URL(base_url)
    same = (asked.scheme, asked.host, asked.port) == (base.scheme, base.host, base.port)
    return same and (asked.path == base.path or asked.path.startswith(base.path.rstrip("/") + "/"))
