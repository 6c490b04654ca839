"""An upstream on loopback that answers from a script and remembers what it was asked, and a raw store in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from omc_infra.http import Validators
from omc_infra.payload import Payload


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b'{"ok": true}'
    headers: Mapping[str, str] = field(default_factory=dict)
    announced: int | None = None
    pause_s: float = 0.0
    pieces: int = 1


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float


class Upstream(ThreadingHTTPServer):
    """Give the replies in order, the last one again and again, and 304 where the asker has the reply's ETag; remember what was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: list[Reply] = [Reply()]
        self.asked: list[Asked] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Upstream

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(Asked(self.command, self.path, dict(self.headers), body, time.monotonic()))
        reply = self.server.replies.pop(0) if len(self.server.replies) > 1 else self.server.replies[0]
        if reply.headers.get("ETag") and reply.headers["ETag"] == self.headers.get("If-None-Match"):
            reply = Reply(304)
        with suppress(OSError):
            self._write(reply)

    do_POST = do_GET  # noqa: N815 the base class's name

    def _write(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **reply.headers}.items():
            self.send_header(name, value)
        if reply.status != 304:
            self.send_header("Content-Length", str(len(reply.body) if reply.announced is None else reply.announced))
        self.end_headers()
        step = max(1, -(-len(reply.body) // reply.pieces))
        for start in range(0, 0 if reply.status == 304 else len(reply.body), step):
            time.sleep(reply.pause_s)
            self.wfile.write(reply.body[start : start + step])
            self.wfile.flush()
        if reply.announced is not None:
            time.sleep(reply.pause_s)
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
        pass


class Memory:
    """A raw store in memory."""

    def __init__(self) -> None:
        self.stored: list[Payload] = []
        self.marks: dict[tuple[str, str], Validators] = {}
        self.bodies: dict[str, bytes] = {}
        self.etags: dict[int, tuple[str | None, str | None]] = {}

    def store(self, payload: Payload, *, etag: str | None, last_modified: str | None) -> None:
        self.stored.append(payload)
        self.bodies[payload.sha256] = payload.body
        self.etags[id(payload)] = (etag, last_modified)

    def mark_parsed(self, payload: Payload) -> None:
        if not payload.not_modified:
            self.marks[payload.source, payload.request_sha256] = Validators(*self.etags[id(payload)], payload.sha256)

    def validators(self, source: str, request_sha256: str) -> Validators | None:
        return self.marks.get((source, request_sha256))

    def body(self, sha256: str) -> bytes:
        return self.bodies[sha256]


@contextmanager
def upstream() -> Iterator[Upstream]:
    """Run an upstream."""
    server = Upstream()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
