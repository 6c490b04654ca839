"""Keys, tokens and signatures: they reach the upstream, and nothing else."""

from __future__ import annotations

import base64
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from omc_infra.errors import (
    AccessDeniedError,
    NotConfiguredError,
    OmcError,
    RateLimitedError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from omc_infra.http import Auth, HeaderKey, HostPolicy, HttpClient, InProcessLimits, OAuth2ClientCredentials, QueryKey, open_http
from omc_infra.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))

from http_upstream import Memory, Reply, Upstream
from http_upstream import upstream as serving_upstream

KEYS = {"venue": SecretStr("k3y/of+fourteen"), "app": SecretStr("app-ident"), "app_secret": SecretStr("s3cr3t:of&app")}
OAUTH = OAuth2ClientCredentials("/token", "app", "app_secret", scope="read")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving_upstream() as server:
        yield server


@contextmanager
def opened(upstream: Upstream, auth: Auth, raw: Memory | None = None, **fields: Any) -> Iterator[HttpClient]:
    policy = HostPolicy(("https://api.example",), "/api", requests_per_s=1000, burst=100, backoff_s=0.01, auth=auth, **fields)
    with open_http("test", policy, Settings(sandbox_url=upstream.url), keys=KEYS, raw=raw, limits=InProcessLimits()) as http:
        yield http


def token(value: str = "t0ken-of-the-run", **fields: Any) -> Reply:
    return Reply(body=json.dumps({"access_token": value, "token_type": "bearer", "expires_in": 3600, **fields}).encode())


def test_a_header_key_is_sent_with_its_prefix(upstream: Upstream) -> None:
    with opened(upstream, HeaderKey("Authorization", "venue", "Bearer ")) as http:
        http.get("/prices")

    assert upstream.asked[0].headers["Authorization"] == "Bearer k3y/of+fourteen"


def test_a_query_key_is_sent_and_is_part_of_no_url_that_is_kept(upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    raw = Memory()

    with opened(upstream, QueryKey("appid", "venue"), raw) as http:
        http.get("/prices", params={"coin": "btc"})
        http.get("/prices")

    assert [asked.path for asked in upstream.asked] == [
        "/api/prices?coin=btc&appid=k3y%2Fof%2Bfourteen",
        "/api/prices?appid=k3y%2Fof%2Bfourteen",
    ]
    assert [payload.url for payload in raw.stored] == ["sandbox:/api/prices?coin=btc", "sandbox:/api/prices"]
    assert "k3y" not in caplog.text


@pytest.mark.parametrize("auth", [HeaderKey("X-Key", "other"), QueryKey("k", "other"), OAuth2ClientCredentials("/t", "app", "other")])
def test_a_source_without_its_key_is_not_configured_and_nothing_is_sent(upstream: Upstream, auth: Auth) -> None:
    with pytest.raises(NotConfiguredError, match="OMC_KEY_OTHER"), opened(upstream, auth):
        pass

    assert upstream.asked == []


def test_a_token_is_fetched_once_and_used_while_it_holds(upstream: Upstream) -> None:
    upstream.replies = [token(), Reply()]

    with opened(upstream, OAUTH) as http:
        http.get("/a")
        http.get("/b")

    fetched, *used = upstream.asked
    assert (fetched.method, fetched.path, fetched.body) == ("POST", "/api/token", b"grant_type=client_credentials&scope=read")
    assert base64.b64decode(fetched.headers["Authorization"].removeprefix("Basic ")) == b"app-ident:s3cr3t%3Aof%26app"
    assert [(asked.path, asked.headers["Authorization"]) for asked in used] == [
        ("/api/a", "Bearer t0ken-of-the-run"),
        ("/api/b", "Bearer t0ken-of-the-run"),
    ]


def test_a_token_may_come_from_another_host_and_its_credentials_in_the_form(upstream: Upstream) -> None:
    upstream.replies = [token(), Reply()]
    auth = OAuth2ClientCredentials("/v1/token", "app", "app_secret", host="login", credentials_in="body")

    with opened(upstream, auth, others={"login": HostPolicy(("https://login.example",), "/login", requests_per_s=1000)}) as http:
        http.get("/a")

    assert upstream.asked[0].path == "/login/v1/token"
    assert upstream.asked[0].body == b"grant_type=client_credentials&client_id=app-ident&client_secret=s3cr3t%3Aof%26app"


def test_an_expired_token_is_fetched_anew(upstream: Upstream) -> None:
    upstream.replies = [token("first-token", expires_in=0), Reply(), token("second-token"), Reply()]

    with opened(upstream, OAUTH) as http:
        http.get("/a")
        http.get("/b")

    assert [asked.path for asked in upstream.asked] == ["/api/token", "/api/a", "/api/token", "/api/b"]
    assert upstream.asked[3].headers["Authorization"] == "Bearer second-token"


def test_a_token_that_is_refused_is_renewed_once(upstream: Upstream) -> None:
    upstream.replies = [token("first-token"), Reply(401), token("second-token"), Reply(body=b"in")]

    with opened(upstream, OAUTH) as http:
        assert http.get("/a").body == b"in"

    assert upstream.asked[3].headers["Authorization"] == "Bearer second-token"


def test_a_token_that_is_refused_twice_is_access_denied(upstream: Upstream) -> None:
    upstream.replies = [token(), Reply(401), token(), Reply(401)]

    with opened(upstream, OAUTH) as http, pytest.raises(AccessDeniedError):
        http.get("/a")

    assert len(upstream.asked) == 4


def test_a_token_endpoint_that_is_down_is_asked_again(upstream: Upstream) -> None:
    upstream.replies = [Reply(503), token(), Reply(body=b"in")]

    with opened(upstream, OAUTH) as http:
        assert http.get("/a").body == b"in"


def test_a_wait_that_the_token_endpoint_demands_is_kept_for_all(upstream: Upstream) -> None:
    upstream.replies, limits = [Reply(429, headers={"Retry-After": "900"})], InProcessLimits()
    policy = HostPolicy(("https://api.example",), "/api", requests_per_s=1000, burst=100, auth=OAUTH)
    settings = Settings(sandbox_url=upstream.url)

    with pytest.raises(RateLimitedError) as raised, open_http("test", policy, settings, keys=KEYS, limits=limits) as http:
        http.get("/a")

    assert raised.value.retry_after_s == 900
    assert limits.banned_s("api.example") == pytest.approx(900, abs=60)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(400, b'{"error": "invalid_client s3cr3t:of&app"}'), AccessDeniedError),
        (Reply(401, b"s3cr3t:of&app"), AccessDeniedError),
        (Reply(200, b'{"secret": "s3cr3t:of&app"}'), UpstreamRefusedError),
        (Reply(200, b"s3cr3t:of&app"), UpstreamRefusedError),
        (Reply(503, b"s3cr3t:of&app"), UpstreamUnavailableError),
    ],
)
def test_a_refused_token_request_is_named_and_nothing_of_it_is_told(upstream: Upstream, reply: Reply, expected: type[OmcError]) -> None:
    upstream.replies, raw = [reply], Memory()

    with capture_logs() as logs, pytest.raises(expected) as raised, opened(upstream, OAUTH, raw) as http:
        http.get("/a")

    assert "s3cr3t" not in f"{raised.value!r} {raised.value.__cause__!r} {logs}"
    assert raw.stored == []


def test_neither_token_nor_its_request_is_stored_logged_or_shown(upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    upstream.replies, raw = [token(), Reply(500, b'{"your token": "t0ken-of-the-run"}')], Memory()

    with capture_logs() as logs, pytest.raises(UpstreamUnavailableError) as raised, opened(upstream, OAUTH, raw) as http:
        http.get("/a")

    details = f"{raised.value!r} {raised.value.__cause__!r} {logs} {caplog.text} {[payload.body for payload in raw.stored]}"
    assert [payload.url for payload in raw.stored] == ["sandbox:/api/a"] * 4
    assert "[redacted]" in details
    assert not [secret for secret in ("t0ken", "s3cr3t", "grant_type", "Basic ") if secret in details]
