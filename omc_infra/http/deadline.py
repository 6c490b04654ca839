"""A network backend with one deadline for everything: name lookup, connection, TLS, headers and body.

httpx's time-outs limit each wait, not the whole request: an upstream that sends a header line, a ``100 Continue`` or a byte of the body
now and then could block a run for hours. Here each wait ends at the deadline, and no wait starts after it.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore2

_PIECE_BYTES = 16 * 1024
SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class Deadline(threading.local):
    """The latest end of the request that this thread makes, of ``time.monotonic``."""

    at = float("inf")

    def left_s(self, timeout_s: float | None, exceeded: type[Exception]) -> float:
        """Return how long the next wait may take.

        Args:
            timeout_s: Longest silence, or None.
            exceeded: Raised where nothing is left.
        """
        left_s = self.at - time.monotonic()
        if left_s <= 0:
            raise exceeded("the deadline has passed")
        return left_s if timeout_s is None else min(left_s, timeout_s)


class DeadlineBackend(httpcore2.NetworkBackend):
    """Opens connections, by name lookup and address after address, within the deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline, self._backend = deadline, httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address that answers.

        Raises:
            httpcore2.ConnectTimeout: The deadline or the time-out has passed.
            httpcore2.ConnectError: No address accepts a connection, or the name has none.
        """
        options = list(socket_options or ())
        failure: Exception | None = None
        for address in _addresses(host, port, self._deadline.left_s(timeout, httpcore2.ConnectTimeout)):
            left_s = self._deadline.left_s(timeout, httpcore2.ConnectTimeout)
            try:
                stream = self._backend.connect_tcp(address, port, left_s, local_address, options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(stream, self._deadline)
        raise failure or httpcore2.ConnectError(f"no address of {host} accepts a connection")


class _Stream(httpcore2.NetworkStream):
    """A connection that stops waiting at the deadline."""

    def __init__(self, inner: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left_s(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE_BYTES):  # a reader may take a little now and then
            self._inner.write(buffer[start : start + _PIECE_BYTES], self._deadline.left_s(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left_s = self._deadline.left_s(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left_s), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _addresses(host: str, port: int, within_s: float) -> list[str]:
    """Look up a name with a time limit; the system's lookup can't be interrupted, so it runs in a thread that may be abandoned."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return [host]
    found: list[str] = []
    failures: list[OSError] = []

    def look_up() -> None:
        try:
            found.extend(dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=look_up, name="name lookup", daemon=True)
    thread.start()
    thread.join(within_s)
    if failures:
        raise httpcore2.ConnectError(str(failures[0])) from failures[0]
    if not found:
        raise httpcore2.ConnectTimeout(f"looking up {host} took too long")
    return found
