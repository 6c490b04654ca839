"""Serve the stand-ins on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, get_args

from omc_agents.models.catalogue import Provider
from omc_agents.models.protocol import Request, Response, Text, Turn
from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.stand_in.formats import Asked, answer_document, error_document, read_call, stream_lines
from omc_infra.errors import BadInputError

Answerer = Callable[[Asked], Response]
LARGEST_CALL_BYTES = 32 * 1024 * 1024


def scripted_answer(asked: Asked) -> Response:
    """Return what the rules of the scripted analyst say.

    Raises:
        BadInputError: It is no question of the workflow.
    """
    try:
        return ScriptedAnalyst().complete(Request(asked.system, (Turn("user", (Text(asked.words),)),), {"title": asked.question}))
    except ValueError as error:
        raise BadInputError("the scripted analyst reads questions of the workflow only") from error


class StandIn(ThreadingHTTPServer):
    """All providers on one port, each under its name: ``/openai``, ``/anthropic``, ``/google``.

    Args:
        answer: Answers the calls.
        port: 0 takes a free one.
    """

    daemon_threads = True

    def __init__(self, answer: Answerer = scripted_answer, port: int = 0) -> None:
        self.answer = answer
        super().__init__(("127.0.0.1", port), StandInHandler)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class StandInHandler(BaseHTTPRequestHandler):
    """Reads one call and answers it."""

    protocol_version = "HTTP/1.1"
    server: StandIn

    def do_POST(self) -> None:
        """Take a call and send its answer."""
        body = self.body()
        try:
            asked = read_call(self.path, json.loads(body))
            answer = self.server.answer(asked)
        except (BadInputError, ValueError) as error:
            provider: Provider = next((name for name in get_args(Provider) if self.path.startswith(f"/{name}/")), "openai")
            self.send_document(400, error_document(provider, 400, "invalid_request_error", str(error)))
            return
        document = answer_document(asked, answer)
        if asked.is_stream:
            self.send_events(stream_lines(asked.provider, document))
        else:
            self.send_document(200, document)

    def body(self) -> bytes:
        """Read the body of the call."""
        return self.rfile.read(min(int(self.headers.get("content-length") or 0), LARGEST_CALL_BYTES))

    def send_document(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        """Send JSON."""
        content = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def send_events(self, lines: Iterable[bytes]) -> None:
        """Send server-sent events and close the connection."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for line in lines:
            self.wfile.write(line)
            self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Log nothing: calls hold prompts."""
