"""One deadline over connection, TLS, headers and body, against servers that do their worst, on real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from omc_infra.errors import OmcError, UpstreamUnavailableError
from omc_infra.http import HostPolicy, InProcessLimits, open_http
from omc_infra.settings import Settings, load_settings

DEADLINE_S = 1.0
TOLERANCE_S = 1.5
"""For a busy machine; each of the servers would hold an asker for ten seconds or for ever."""

Talk = Callable[[socket.socket], None]


@contextmanager
def talking(talk: Talk) -> Iterator[str]:
    """Serve each connection by one function, and return the address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=details, args=(connection,), daemon=True).start()

    def details(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            talk(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def read_request(connection: socket.socket) -> None:
    while b"\r\n\r\n" not in connection.recv(65_536):
        pass


def dribbled_headers(connection: socket.socket) -> None:
    read_request(connection)
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Filler: " + b"x" * 60 + b"\r\n\r\nok":
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def a_header_line_now_and_then(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(1_000):
        time.sleep(0.4)
        connection.sendall(f"X-{number}: y\r\n".encode())


def endless_continue(connection: socket.socket) -> None:
    read_request(connection)
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)


def dribbled_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.1)


def dribbled_chunk_size(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
    while True:
        connection.sendall(b"x")
        time.sleep(0.1)


def read_slowly(connection: socket.socket) -> None:
    while connection.recv(200_000):
        time.sleep(0.2)


def silent(connection: socket.socket) -> None:
    time.sleep(30)


def tls_that_dribbles(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"\x16\x03\x03\x40\x00")  # a handshake record of 16 kB that never ends
    while True:
        connection.sendall(b"\x02")
        time.sleep(0.1)


def elapsed(base_url: str, *, deadline_s: float = DEADLINE_S, timeout_s: float = 15.0) -> float:
    policy = HostPolicy((base_url,), "/", requests_per_s=1000, burst=100, timeout_s=timeout_s, backoff_s=0.01)
    settings = Settings(sandbox_url=base_url)
    start = time.monotonic()
    with pytest.raises(UpstreamUnavailableError), open_http("test", policy, settings, limits=InProcessLimits()) as http:
        http.get("/", deadline_s=deadline_s)
    return time.monotonic() - start


@pytest.mark.parametrize(
    "talk", [dribbled_headers, a_header_line_now_and_then, endless_continue, dribbled_body, dribbled_chunk_size, silent]
)
def test_an_answer_that_does_not_come_ends_at_the_deadline(talk: Talk) -> None:
    with talking(talk) as address:
        assert DEADLINE_S * 0.9 < elapsed(f"http://{address}") < DEADLINE_S + TOLERANCE_S


@pytest.mark.parametrize("talk", [silent, tls_that_dribbles])
def test_a_handshake_that_does_not_end_ends_at_the_deadline(talk: Talk) -> None:
    with talking(talk) as address:
        assert DEADLINE_S * 0.9 < elapsed(f"https://{address}") < DEADLINE_S + TOLERANCE_S


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_deadline_holds_through_a_proxy(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings({"OMC_PROFILE": "live", "OMC_CONTACT": "data@fund.example"})
    policy = HostPolicy((f"{scheme}://upstream.example",), "/", requests_per_s=1000, burst=100)

    with talking(dribbled_headers) as address:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://{address}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        start = time.monotonic()
        with pytest.raises(UpstreamUnavailableError), open_http("test", policy, settings, limits=InProcessLimits()) as http:
            http.get("/", deadline_s=DEADLINE_S)

    assert time.monotonic() - start < DEADLINE_S + TOLERANCE_S


def test_a_connection_that_is_not_accepted_ends_at_the_deadline() -> None:
    with socket.socket() as full, socket.socket() as waiting, socket.socket() as more:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for client in (waiting, more):
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(full.getsockname())

        assert elapsed(f"http://127.0.0.1:{full.getsockname()[1]}") < DEADLINE_S + TOLERANCE_S


def test_a_request_that_is_not_read_ends_at_the_deadline() -> None:
    policy = HostPolicy(("http://x",), "", requests_per_s=1000, burst=100)
    start = time.monotonic()

    with (
        talking(read_slowly) as address,
        pytest.raises(UpstreamUnavailableError),
        open_http("test", policy, Settings(sandbox_url=f"http://{address}"), limits=InProcessLimits()) as http,
    ):
        http.post("/", content=b"x" * 30_000_000, deadline_s=DEADLINE_S)

    assert time.monotonic() - start < DEADLINE_S + TOLERANCE_S


def test_a_connection_that_is_used_again_has_the_deadline_of_its_own_request() -> None:
    def first_fast_then_never(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        dribbled_headers(connection)

    policy = HostPolicy(("http://x",), "", requests_per_s=1000, burst=100)
    with (
        talking(first_fast_then_never) as address,
        open_http("test", policy, Settings(sandbox_url=f"http://{address}"), limits=InProcessLimits()) as http,
    ):
        assert http.get("/", deadline_s=60).body == b"ok"
        start = time.monotonic()
        with pytest.raises(OmcError):
            http.get("/", deadline_s=DEADLINE_S)

    assert time.monotonic() - start < DEADLINE_S + TOLERANCE_S


def test_a_name_is_looked_up() -> None:
    def answered(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    policy = HostPolicy(("http://x",), "", requests_per_s=1000)
    with talking(answered) as address:
        url = f"http://{address.replace('127.0.0.1', 'localhost')}"
        with open_http("test", policy, Settings(sandbox_url=url), limits=InProcessLimits()) as http:
            assert http.get("/").body == b"ok"


def test_a_name_that_does_not_exist_is_unavailable() -> None:
    with pytest.raises(UpstreamUnavailableError, match="connection failed"):
        _asked("http://nowhere.invalid")


def _asked(url: str) -> None:
    policy = HostPolicy(("http://x",), "", requests_per_s=1000, attempts=1)
    with open_http("test", policy, Settings(sandbox_url=url), limits=InProcessLimits()) as http:
        http.get("/", deadline_s=20)
