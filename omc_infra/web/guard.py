"""The guard in front of the Dagster UI, an ASGI app around Dagster's own.

In this order: the host must be ours, the request must not be loaded into a page of another origin, whoever asks must be logged in,
what may change something must come from our own origin, and GraphQL must be of the permitted kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from omc_infra.web.access import COOKIE_MAX_AGE_S, Access
from omc_infra.web.graphql import refusal_of_get, refusal_of_post
from omc_infra.web.login_page import login_page
from omc_infra.web.origin import is_embedded_elsewhere, is_same_origin

HEALTH_PATH = "/server_info"
GRAPHQL_PATH = "/graphql"
MAX_BODY_BYTES = 4_000_000
_READING = ("GET", "HEAD", "OPTIONS")
_POLICY = (
    "default-src 'self'; connect-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; font-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Mapping[str, str] = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Guard:
    """An ASGI app that lets permitted requests through to another.

    Attributes:
        app: Dagster's web app.
        access: Who is logged in.
        hosts: Values of ``Host`` that are ours, lower case.
        cookie: Name of the cookie; it holds the port, because browsers send cookies of one port to all others.
        read_only: Whether whatever changes something is refused.
    """

    app: ASGIApp
    access: Access
    hosts: frozenset[str]
    cookie: str
    read_only: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            await self._http(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == HEALTH_PATH and scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        answer = self._refused_at_the_door(scope) or self._login(scope)
        if answer is None and scope["path"].rstrip("/") == GRAPHQL_PATH:
            body = await _whole_body(receive) if scope["method"] == "POST" else b""
            answer = self._refused_graphql(scope, body)
            receive = _replayed(body, receive)
        await (answer or self.app)(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _single_headers(scope)
        host = (headers.get("host") or "").lower()
        if host in self.hosts and is_same_origin(headers, host) and self._is_logged_in(headers):
            await self.app(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 4403, "reason": "not permitted"})

    def _refused_at_the_door(self, scope: Scope) -> Response | None:
        """Refuse foreign hosts, foreign pages and, in the read-only view, everything that isn't reading."""
        headers = _single_headers(scope)
        host = (headers.get("host") or "").lower()
        if host not in self.hosts:
            return PlainTextResponse("403: this address is not one of the Dagster UI's", 403)
        if is_embedded_elsewhere(headers):
            return PlainTextResponse("403: a page of another origin may not load this", 403)
        if scope["method"] in _READING:
            return None
        if not self._has_bearer(headers) and not is_same_origin(headers, host):
            return PlainTextResponse("403: the request does not come from a page of the Dagster UI", 403)
        if self.read_only and scope["path"].rstrip("/") != GRAPHQL_PATH:
            return PlainTextResponse("403: this view of the UI is read-only", 403)
        return None

    def _login(self, scope: Scope) -> Response | None:
        """Let in who is logged in; log in who brings the token; show everybody else how to."""
        offered = QueryParams(scope["query_string"]).get("token")
        if scope["method"] == "GET" and offered is not None and self.access.is_token(offered):
            return self._logged_in(scope)
        if self._is_logged_in(_single_headers(scope)):
            return None
        return HTMLResponse(login_page(was_wrong=offered is not None), 401)

    def _logged_in(self, scope: Scope) -> Response:
        rest = [(name, value) for name, value in parse_qsl(scope["query_string"].decode("latin-1")) if name != "token"]
        path = "/" + scope["path"].lstrip("/\\")  # "//host" would be another site
        answer = RedirectResponse(f"{path}?{urlencode(rest)}" if rest else path, 303)
        answer.set_cookie(
            self.cookie,
            self.access.new_cookie(),
            COOKIE_MAX_AGE_S,
            path="/",
            httponly=True,
            samesite="lax",
            secure=scope["scheme"] == "https",
        )
        return answer

    def _is_logged_in(self, headers: Mapping[str, str]) -> bool:
        cookies = cookie_parser(headers.get("cookie", ""))
        return self.access.is_cookie(cookies.get(self.cookie, "")) or self._has_bearer(headers)

    def _has_bearer(self, headers: Mapping[str, str]) -> bool:
        """Return whether a program brings the token itself; no browser adds this header for a foreign page."""
        scheme, _, offered = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.access.is_token(offered.strip())

    def _refused_graphql(self, scope: Scope, body: bytes | None) -> Response | None:
        if body is None:
            return PlainTextResponse(f"413: the body is larger than {MAX_BODY_BYTES} bytes", 413)
        if scope["method"] == "POST":
            media_type = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
            refusal = refusal_of_post(media_type, body, read_only=self.read_only)
        else:
            refusal = refusal_of_get(QueryParams(scope["query_string"]).get("query"))
        return PlainTextResponse(f"{refusal.status}: {refusal.reason}", refusal.status) if refusal else None


def _single_headers(scope: Scope) -> dict[str, str]:
    """Return headers by lower-case name; one that decides anything and comes twice counts as empty, so it permits nothing."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        found[key] = "" if key in found and key != "cookie" else value.decode("latin-1")
    return found


async def _whole_body(receive: Receive) -> bytes | None:
    """Read a body; None where it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes | None, receive: Receive) -> Receive:
    """Return a channel that hands out a body that was read before, and then goes on as the original."""
    pending: list[Message] = [{"type": "http.request", "body": body or b"", "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _with_headers(send: Send) -> Send:
    """Add the security headers to every answer; a policy of the page itself stays, and both hold."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.append("Content-Security-Policy", _POLICY)
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return sending
