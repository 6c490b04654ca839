"""Stand-ins of the providers that note what they are asked and can be told to fail in every way the wire allows."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from omc_agents.models.catalogue import Provider, listed
from omc_agents.models.choice import make_model
from omc_agents.models.protocol import Response, StreamingModel, Text, ToolCall, Usage
from omc_agents.stand_in.formats import Asked, answer_document, error_document, stream_lines
from omc_agents.stand_in.server import StandIn, StandInHandler, scripted_answer

MODELS = {"openai": "openai/gpt-6-sol", "anthropic": "anthropic/claude-sonnet-5-5", "google": "google/gemini-3.8-flash"}
CANARY = "sk-canary-7f3a9c1d5e"
Fault = Callable[["NotingHandler", bytes], None]


@dataclass
class Call:
    """One call as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Notes:
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


class NotingHandler(StandInHandler):
    server: NotingStandIn

    def do_POST(self) -> None:  # noqa: N802 the name of the library
        length = int(self.headers.get("content-length") or 0)
        content = self.rfile.read(length)
        self.server.notes.calls.append(Call(self.path, {n.lower(): v for n, v in self.headers.items()}, json.loads(content)))
        if self.server.notes.faults:
            self.server.notes.faults.pop(0)(self, content)
            return
        self.given = content
        super().do_POST()

    def body(self) -> bytes:
        return self.given


class NotingStandIn(StandIn):
    def __init__(self, answer: Callable[[Asked], Response]) -> None:
        super().__init__(answer)
        self.notes = Notes()
        self.RequestHandlerClass = NotingHandler


@contextmanager
def serving(answer: Callable[[Asked], Response] = scripted_answer) -> Iterator[NotingStandIn]:
    with NotingStandIn(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()


def model_at(server: StandIn, provider: str, key: str = CANARY) -> StreamingModel:
    listing = listed().model(MODELS[provider])
    return make_model(listing, f"{server.url}/{listing.provider}", SecretStr(key))


def full_answer(_asked: Asked) -> Response:
    """Return an answer with words, a call and every part of a usage."""
    words = Text('{"event_kind": "other"}')
    return Response((words, ToolCall("call-1", "look", {"symbol": "BTC"})), "tool", Usage(100, 20, 40, 0, 0, 160), "m", "rid-1", "")


def failing(provider: Provider, status: int, kind: str, message: str = "no", headers: dict[str, str] | None = None) -> Fault:
    return lambda handler, _: handler.send_document(status, error_document(provider, status, kind, message), headers)


def raw(body: bytes, media_type: str = "application/json") -> Fault:
    def send(handler: NotingHandler, _: bytes) -> None:
        handler.send_response(200)
        handler.send_header("content-type", media_type)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return send


def cut(handler: NotingHandler, _: bytes) -> None:
    """Promise more than is sent, then close."""
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "x", "')
    handler.wfile.flush()
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def slow_headers(handler: NotingHandler, _: bytes) -> None:
    """Send a byte of the headers now and then, for longer than anybody waits."""
    handler.close_connection = True
    try:
        for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"a" * 200:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        return


def cut_stream(asked: Asked) -> Fault:
    """Send the first half of a stream, then close."""

    def send(handler: NotingHandler, _: bytes) -> None:
        lines = list(stream_lines(asked.provider, answer_document(asked, full_answer(asked))))
        handler.send_events(lines[: max(1, len(lines) // 2)])
        handler.connection.shutdown(socket.SHUT_RDWR)

    return send
