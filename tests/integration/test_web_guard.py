"""The guard in front of the Dagster UI, asked over real HTTP and WebSockets: by its own page, by strangers, by programs."""

from __future__ import annotations

import http.client
import json
import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from omc_infra.errors import ConfigurationError
from omc_infra.settings import load_settings
from omc_infra.web.access import Access, ensure_access, token_file
from omc_infra.web.guard import MAX_BODY_BYTES, Guard
from omc_infra.web.origin import trusted_hosts

MUTATION = 'mutation { launchRun(executionParams: {mode: "default"}) { __typename } }'
QUERY = "{ version }"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Site:
    """A guarded app on a port of its own; ``reached`` collects what came through."""

    port: int
    access: Access
    cookie: str
    reached: list[str]

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def origin(self) -> str:
        return f"http://{self.host}"

    @property
    def logged_in(self) -> dict[str, str]:
        return {"Cookie": f"{self.cookie}={self.access.new_cookie()}"}

    @property
    def own_page(self) -> dict[str, str]:
        return {**self.logged_in, "Origin": self.origin, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, headers: Mapping[str, str] = {}, body: str | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read().decode())
        finally:
            connection.close()

    def graphql(self, query: str, headers: Mapping[str, str]) -> Answer:
        return self.ask("POST", "/graphql", headers, json.dumps({"query": query}))


def guarded(tmp_path: Path, *, read_only: bool = False) -> Iterator[Site]:
    reached: list[str] = []

    async def everything(request: Request) -> JSONResponse:
        reached.append(f"{request.method} {request.url.path}")
        return JSONResponse({"body": (await request.body()).decode()})

    async def stream(websocket: WebSocket) -> None:
        reached.append("websocket")
        await websocket.accept(subprotocol="graphql-ws")
        await websocket.close()

    paths = ["/server_info", "/graphql", "/report_asset_materialization/{key:path}", "/{path:path}"]
    routes = [Route(path, everything, methods=["GET", "POST", "PUT", "DELETE"]) for path in paths]
    app = Starlette(routes=[WebSocketRoute("/graphql", stream), *routes])
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = int(listening.getsockname()[1])
        access, cookie = ensure_access(tmp_path / "ui" / "token"), f"omc_ui_{port}"
        server = uvicorn.Server(uvicorn.Config(Guard(app, access, trusted_hosts(port), cookie, read_only), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield Site(port, access, cookie, reached)
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from guarded(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def served_read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    yield from guarded(tmp_path_factory.mktemp("read_only"), read_only=True)


@pytest.fixture
def site(served: Site) -> Site:
    served.reached.clear()
    return served


@pytest.fixture
def viewers(served_read_only: Site) -> Site:
    served_read_only.reached.clear()
    return served_read_only


def test_the_health_path_alone_is_open_without_login_and_under_any_host(site: Site) -> None:
    assert site.ask("GET", "/server_info", {"Host": "10.0.0.7"}).status == 200
    assert site.ask("POST", "/server_info", {"Host": site.host}).status == 403
    assert site.ask("GET", "/server_info/../graphql?query={version}", {"Host": "10.0.0.7"}).status == 403
    assert site.reached == ["GET /server_info"]


@pytest.mark.parametrize("path", ["/", "/runs", "/graphql?query=%7Bversion%7D", "/logs/x.out", "/download_debug/1"])
def test_whoever_is_not_logged_in_gets_the_login_page_and_nothing_else(site: Site, path: str) -> None:
    answer = site.ask("GET", path)

    assert answer.status == 401
    assert "omc up" in answer.body
    assert site.reached == []


def test_the_printed_link_logs_in_once_and_leaves_no_token_in_the_address(site: Site) -> None:
    first = site.ask("GET", f"/runs?view=all&token={site.access.token}")

    assert (first.status, first.headers["location"]) == (303, "/runs?view=all")
    kept = first.headers["set-cookie"]
    assert "HttpOnly" in kept
    assert "SameSite=lax" in kept
    assert site.access.token not in kept
    assert site.ask("GET", "/runs?view=all", {"Cookie": kept.partition(";")[0]}).status == 200


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "/%2Fevil.example/"])
def test_the_redirect_after_the_login_stays_on_this_site(site: Site, path: str) -> None:
    answer = site.ask("GET", f"{path}?token={site.access.token}")

    assert answer.headers["location"].startswith("/")
    assert not answer.headers["location"].startswith(("//", "/\\"))


def test_a_wrong_token_a_made_up_cookie_and_a_cookie_of_another_home_do_not_log_in(site: Site, tmp_path: Path) -> None:
    other = ensure_access(tmp_path / "other" / "token")

    wrong = site.ask("GET", f"/?token={other.token}")
    assert wrong.status == 401
    assert "not the right one" in wrong.body
    assert other.token not in wrong.body
    for value in (other.new_cookie(), "1", site.access.token, site.access.new_cookie()[:-2]):
        assert site.ask("GET", "/", {"Cookie": f"{site.cookie}={value}"}).status == 401, value
    assert site.ask("GET", "/", {"Authorization": f"Bearer {other.token}"}).status == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", ""])
def test_a_foreign_host_is_refused_also_with_a_cookie(site: Site, host: str) -> None:
    assert site.ask("GET", "/", {**site.logged_in, "Host": host}).status == 403
    assert site.reached == []


def test_two_host_headers_are_refused(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as raw:
        cookie = site.logged_in["Cookie"]
        raw.sendall(f"GET / HTTP/1.1\r\nHost: {site.host}\r\nHost: evil.example\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n".encode())
        answer = raw.recv(4096)

    assert b" 200 " not in answer.split(b"\r\n")[0]
    assert site.reached == []


def test_the_own_page_may_query_and_mutate(site: Site) -> None:
    assert site.graphql(QUERY, site.own_page).status == 200
    answer = site.graphql(MUTATION, site.own_page)

    assert answer.status == 200
    assert json.loads(json.loads(answer.body)["body"]) == {"query": MUTATION}


@pytest.mark.parametrize("path", ["/graphql", "/%67raphql", "/graphql?operationName=x"])
def test_a_mutation_by_get_is_refused(site: Site, path: str) -> None:
    query = f"{'&' if '?' in path else '?'}query={quote(MUTATION)}"

    assert site.ask("GET", path + query, site.own_page).status == 405
    assert site.ask("HEAD", path + query, site.own_page).status == 405
    assert site.reached == []


def test_a_query_beside_a_mutation_does_not_carry_it_in_by_get(site: Site) -> None:
    both = "query%20a%20%7Bversion%7D%20mutation%20b%20%7BsetNuxSeen%7D"

    assert site.ask("GET", f"/graphql?query={both}&operationName=b", site.own_page).status == 405
    assert site.ask("GET", f"/graphql?query=%7Bversion%7D&query={both}&operationName=b", site.own_page).status == 405


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/graphql", "multipart/form-data", "application/jsonx", ""]
)
def test_graphql_by_post_comes_as_json_only(site: Site, media_type: str) -> None:
    headers = {**site.own_page, "Content-Type": media_type}

    assert site.ask("POST", f"/graphql?query={quote(MUTATION)}", headers, MUTATION).status == 415
    assert site.reached == []


@pytest.mark.parametrize("body", ["", "[", "[]", '[{"query": "{version}"}]', '{"query": 1}', '{"query": "{"}', "[" * 200_000])
def test_a_malformed_graphql_request_is_refused_in_one_line(site: Site, body: str) -> None:
    answer = site.ask("POST", "/graphql", site.own_page, body)

    assert answer.status == 400
    assert "\n" not in answer.body.strip()


def test_a_huge_body_is_refused(site: Site) -> None:
    assert site.ask("POST", "/graphql", site.own_page, " " * (MAX_BODY_BYTES + 1)).status == 413


@pytest.mark.parametrize(
    "strange",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ],
)
@pytest.mark.parametrize("path", ["/graphql", "/report_asset_materialization/glass/defillama", "/report_asset_check/x"])
def test_what_changes_something_must_come_from_the_own_page(site: Site, strange: Mapping[str, str], path: str) -> None:
    headers = {**site.logged_in, "Content-Type": "application/json", **strange}

    assert site.ask("POST", path, headers, json.dumps({"query": MUTATION})).status == 403
    assert site.reached == []


@pytest.mark.parametrize("destination", ["image", "script", "iframe", "empty"])
def test_a_page_of_another_origin_can_not_load_anything_as_a_part_of_itself(site: Site, destination: str) -> None:
    mode = "navigate" if destination == "iframe" else "no-cors"
    for origin in ("cross-site", "same-site"):
        headers = {**site.logged_in, "Sec-Fetch-Site": origin, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination}
        assert site.ask("GET", "/graphql?query=%7Bversion%7D", headers).status == 403
    assert site.reached == []


def test_a_link_from_elsewhere_may_open_a_page(site: Site) -> None:
    headers = {**site.logged_in, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}

    assert site.ask("GET", "/runs", headers).status == 200


def test_a_program_brings_the_token_itself(site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.access.token}", "Content-Type": "application/json"}

    assert site.graphql(MUTATION, headers).status == 200


def test_the_view_for_viewers_answers_queries_and_changes_nothing(viewers: Site) -> None:
    assert viewers.graphql(QUERY, viewers.own_page).status == 200
    for mutation in (
        MUTATION,
        "mutation { setNuxSeen }",
        'mutation { logTelemetry(action: "", clientTime: "", clientId: "", metadata: "") }',
    ):
        assert viewers.graphql(mutation, viewers.own_page).status == 403
    assert viewers.ask("POST", "/report_asset_materialization/glass/defillama", viewers.own_page, "{}").status == 403
    assert viewers.reached == ["POST /graphql"]


def upgrade(site: Site, headers: Mapping[str, str]) -> str:
    """Ask for a WebSocket and return the status line."""
    lines = {
        "Host": site.host,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==",
        "Sec-WebSocket-Protocol": "graphql-ws",
        **headers,
    }
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as raw:
        raw.sendall(b"GET /graphql HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n")
        return raw.recv(4096).decode("latin-1").split("\r\n")[0]


def test_a_websocket_is_opened_to_the_own_page_only(site: Site) -> None:
    own = {**site.logged_in, "Origin": site.origin}

    assert "101" in upgrade(site, own)
    for headers in (
        {**own, "Origin": "http://evil.example"},
        site.logged_in,
        {"Origin": site.origin},
        {**own, "Host": "evil.example"},
        {**own, "Origin": f"http://localhost:{site.port}"},
    ):
        assert "403" in upgrade(site, headers), headers
    assert site.reached == ["websocket"]


def test_every_answer_carries_the_security_headers(site: Site) -> None:
    for answer in (site.ask("GET", "/"), site.ask("GET", "/runs", site.logged_in), site.ask("GET", "/", {"Host": "evil.example"})):
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"


def test_the_token_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    file = token_file(load_settings({"OMC_HOME": str(tmp_path)}))

    made = [ensure_access(file).token for _ in range(2)]

    assert made[0] == made[1]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["token"]
    assert made[0] not in repr(ensure_access(file))


def test_a_token_file_that_holds_no_token_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("short")

    with pytest.raises(ConfigurationError, match="remove the file"):
        ensure_access(tmp_path / "token")
