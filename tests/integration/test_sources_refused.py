"""Every source against an upstream that refuses, breaks or echoes: each failure has its named error, and no secret stays anywhere."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog
import zstandard
from pydantic import SecretStr
from sandboxed import impatient

from omc_infra.errors import (
    AccessDeniedError,
    OmcError,
    PayloadChangedError,
    PermanentError,
    QuotaExhaustedError,
    RateLimitedError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from omc_infra.http import HostPolicy
from omc_infra.logs import configure_logs
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect, collect_endpoints
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Source

ASKING = [source for source in discover_sources().values() if source.policy is not None and not any(e.needs for e in source.endpoints)]
"""Sources that ask an upstream whatever the ledgers hold."""
SECRETS = {name: f"c4n4ry-{name}-9f8e7d6c5b4a" for source in ASKING for name in source.keys}
TOKEN = "c4n4ry-token-1a2b3c4d5e6f"
HTML = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>blocked</body></html>"
ANSWERS: dict[str, tuple[int, bytes, type[OmcError]]] = {
    "401": (401, b'{"error": "unauthorized"}', AccessDeniedError),
    "402": (402, b'{"error": "no credits"}', QuotaExhaustedError),
    "403": (403, b'{"error": "forbidden"}', AccessDeniedError),
    "404": (404, b'{"error": "not found"}', UpstreamRefusedError),
    "410": (410, b"", UpstreamRefusedError),
    "422": (422, b'{"error": "unprocessable"}', UpstreamRefusedError),
    "429": (429, b'{"error": "slow down"}', RateLimitedError),
    "500": (500, b"Internal Server Error", UpstreamUnavailableError),
    "502": (502, HTML, UpstreamUnavailableError),
    "503": (503, HTML, UpstreamUnavailableError),
    "an HTML page with 200": (200, HTML, PermanentError),
    "nothing with 200": (200, b"", PayloadChangedError),
    "half an object": (200, b'{"status": "ok", "da', PermanentError),
    "another's object": (200, b'{"hello": "world"}', PermanentError),
    "an XML error with 200": (200, b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>', PermanentError),
}
"""By name: status, body, and the failure that it is; a node of a chain that breaks is unavailable, whatever it sends."""


class Echo(ThreadingHTTPServer):
    """Answers as it is told, and repeats what it was asked, key and all; tells a login its token."""

    daemon_threads = True
    answer: tuple[int, bytes] = (200, b"")
    is_echo = False
    asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Echo

    def do_GET(self) -> None:
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked += 1
        status, body = self.server.answer
        if self.path.endswith("/access_token"):
            status, body = 200, json.dumps({"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600}).encode()
        elif self.server.is_echo:
            said = f"{self.command} {self.path} {dict(self.headers)} {asked.decode('latin-1')}"
            body = json.dumps({"status": "error", "error": said, "message": said, "next": said, said: said}).encode()
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 the base class's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
        pass


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    server = Echo(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def live(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return settings of the live profile with a key for every source, on the database of the module."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    keys = {name: SecretStr(value) for name, value in SECRETS.items()}
    return settings.model_copy(update={"profile": "live", "keys": keys, "contact": "data@fund.example", "pause_after_failures": 0})


def _asking(source: Source, url: str) -> Source:
    """Return the source with every host replaced by one, asked once and without waits."""
    quick = impatient(source)
    assert quick.policy is not None
    others = {name: dataclasses.replace(policy, live_urls=(url,)) for name, policy in quick.policy.others.items()}

    def hosts_of(config: SourceConfig) -> dict[str, HostPolicy]:
        named = source.hosts_of(config) if source.hosts_of else {}
        return {
            name: dataclasses.replace(each, live_urls=(url,), attempts=1, requests_per_s=1_000.0, burst=100) for name, each in named.items()
        }

    return dataclasses.replace(quick, policy=dataclasses.replace(quick.policy, live_urls=(url,), others=others), hosts_of=hosts_of)


def _forget_bans(database: Database) -> None:
    with database.connect("owner") as connection:
        for (table,) in connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'http'"
        ).fetchall():
            connection.execute(f"DELETE FROM {table}")


@pytest.mark.slow
@pytest.mark.parametrize("source", ASKING, ids=lambda source: source.name)
def test_each_status_and_body_of_an_upstream_that_fails_has_its_named_error(
    database: Database, live: Settings, echo: Echo, source: Source
) -> None:
    asking = _asking(source, echo.url)
    before = _rows(database, source)
    for name, (status, body, error) in ANSWERS.items():
        echo.answer, asked = (status, body), echo.asked
        _forget_bans(database)

        outcomes = collect_endpoints(asking, database, live)

        assert echo.asked > asked, name
        for outcome in outcomes:
            wanted = (UpstreamUnavailableError, error) if source.name == "glass_chain" else (error,)
            assert isinstance(outcome.failure, wanted), (name, outcome.endpoint, outcome.failure)
            assert str(outcome.failure).startswith(f"{source.name}"), name
            assert str(outcome.failure).isprintable(), name
    assert _rows(database, source) == before, "an upstream that fails is no empty success, and gives no rows"


def _rows(database: Database, source: Source) -> list[Any]:
    with database.connect("reader") as connection:
        return [
            connection.execute(f"SELECT count(*) FROM {table.qualified} WHERE source = %s", [source.name]).fetchone()
            for table in source.tables
        ]


@pytest.mark.parametrize("source", [source for source in ASKING if source.keys], ids=lambda source: source.name)
@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_key_that_an_upstream_repeats_is_in_no_log_row_event_or_exception(
    database: Database,
    live: Settings,
    echo: Echo,
    source: Source,
    status: int,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure_logs(live.model_copy(update={"log_level": "debug"}))
    echo.answer, echo.is_echo = (status, b""), True
    _forget_bans(database)
    asking = _asking(source, echo.url)

    with caplog.at_level(logging.DEBUG), pytest.raises(OmcError) as raised:
        collect(asking, database, live)

    echo.is_echo = False
    structlog.reset_defaults()
    printed = capfd.readouterr()
    told = "\n".join([*traceback.format_exception(raised.value), caplog.text, printed.out, printed.err, *_stored(database)])
    assert source.name in told
    for secret in (*(SECRETS[name] for name in source.keys), TOKEN):
        assert secret not in told, _around(told, secret)


def _around(told: str, secret: str) -> str:
    at = told.index(secret)
    return told[max(0, at - 200) : at].replace(secret, "***")


def _stored(database: Database) -> Iterator[str]:
    """Yield all that collecting keeps, as text: every row of the schemas raw, collection and http, and every body."""
    with database.connect("owner") as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('raw', 'collection', 'http')"
        ).fetchall()
        assert len(tables) > 4
        for (table,) in tables:
            columns = "sha256, size_bytes" if table == "raw.payload" else "*"
            for (row,) in connection.execute(f"SELECT to_jsonb(t)::text FROM (SELECT {columns} FROM {table}) t"):
                yield row
        for (body,) in connection.execute("SELECT body FROM raw.payload WHERE body IS NOT NULL"):
            yield zstandard.ZstdDecompressor().decompress(body, max_output_size=10_000_000).decode("latin-1")


def test_an_upstream_that_never_answers_is_given_up_at_its_deadline(database: Database, live: Settings) -> None:
    source = next(source for source in ASKING if source.name == "human_fear_greed")
    with Echo(("127.0.0.1", 0), _Handler) as silent:  # bound, listening, and never served
        asking = _asking(source, silent.url)
        fetch = asking.endpoints[0].fetch
        assert fetch is not None
        impatiently = dataclasses.replace(
            asking,
            endpoints=(
                dataclasses.replace(
                    asking.endpoints[0], fetch=lambda context: iter([context.http.get("/fng/", deadline_s=1.0, conditional=False)])
                ),
            ),
        )
        began = time.monotonic()

        with pytest.raises(UpstreamUnavailableError, match=source.name):
            collect(impatiently, database, live)

    assert time.monotonic() - began < 20
