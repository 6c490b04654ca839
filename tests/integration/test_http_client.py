"""The polite client against a real server on loopback that answers from a script."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from dagster._utils.error import serializable_error_info_from_exc_info
from pydantic import SecretStr
from structlog.testing import capture_logs

from omc_infra.clock import Clock, utc_now
from omc_infra.errors import (
    AccessDeniedError,
    ConfigurationError,
    OmcError,
    PayloadChangedError,
    PermanentError,
    RateLimitedError,
    RetryableError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from omc_infra.http import HeaderKey, HostPolicy, HttpClient, InProcessLimits, Limits, SignedBody, open_http
from omc_infra.http.limits import RateLimit
from omc_infra.settings import load_settings

sys.path.insert(0, str(Path(__file__).parent))

from http_upstream import Memory, Reply, Upstream
from http_upstream import upstream as serving_upstream

KEY = "k3y/of+fourteen"
KEYS = {"venue": SecretStr(KEY)}
POLICY = HostPolicy(
    ("https://api.example",), "/api", requests_per_s=1000, burst=100, backoff_s=0.01, backoff_max_s=0.05, secret_parameters=("sid",)
)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving_upstream() as server:
        yield server


@pytest.fixture
def raw() -> Memory:
    return Memory()


@contextmanager
def opened(
    upstream: Upstream | str,
    raw: Memory | None = None,
    clock: Clock = utc_now,
    limits: Limits | None = None,
    scrub: Callable[[bytes], bytes] | None = None,
    **changes: object,
) -> Iterator[HttpClient]:
    url = upstream if isinstance(upstream, str) else upstream.url
    settings = load_settings({"OMC_CONTACT": "data@fund.example"}).model_copy(update={"sandbox_url": url})
    policy = replace(POLICY, **changes)  # type: ignore[arg-type] # each test names fields
    counted = InProcessLimits() if limits is None else limits
    with open_http("human_test", policy, settings, keys=KEYS, raw=raw, limits=counted, clock=clock, scrub=scrub, run_id="run-1") as http:
        yield http


def test_a_body_comes_back_with_its_place_time_and_type(upstream: Upstream, raw: Memory) -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)

    with opened(upstream, raw, clock=lambda: moment) as http:
        payload = http.get("/prices", params={"limit": "2", "of": "a b"}, headers={"X-Own": "1"}, context={"user": "demo"})

    assert (payload.body, payload.status, payload.media_type) == (b'{"ok": true}', 200, "application/json")
    assert (payload.source, payload.fetched_at, payload.context) == ("human_test", moment, {"user": "demo"})
    assert upstream.asked[0].path == "/api/prices?limit=2&of=a+b"
    assert upstream.asked[0].headers["X-Own"] == "1"
    assert raw.stored == [payload]


def test_who_asks_is_declared(upstream: Upstream) -> None:
    with opened(upstream) as http:
        http.get("/")

    assert upstream.asked[0].headers["User-Agent"].startswith("omc/")
    assert "(+data@fund.example)" in upstream.asked[0].headers["User-Agent"]


def test_the_url_at_rest_is_the_same_whichever_port_the_sandbox_got(upstream: Upstream) -> None:
    with opened(upstream) as http:
        payload = http.get("/prices")

    assert payload.url == "sandbox:/api/prices"


def test_a_further_base_of_the_same_api_is_asked_by_its_name(upstream: Upstream) -> None:
    coins = replace(POLICY, sandbox_path="/coins")

    with opened(upstream, others={"coins": coins}) as http:
        http.get("/prices", host="coins")

    assert upstream.asked[0].path == "/coins/prices"


def test_a_failing_upstream_is_asked_again_and_every_body_is_kept(upstream: Upstream, raw: Memory) -> None:
    upstream.replies = [Reply(500, b"first"), Reply(503, b"second"), Reply(200, b"third")]

    with opened(upstream, raw) as http:
        payload = http.get("/")

    assert payload.body == b"third"
    assert [(kept.status, kept.body) for kept in raw.stored] == [(500, b"first"), (503, b"second"), (200, b"third")]


def test_retries_are_bounded(upstream: Upstream) -> None:
    upstream.replies = [Reply(502, b"<h1>Bad Gateway</h1>")]

    with opened(upstream) as http, pytest.raises(UpstreamUnavailableError, match=r"answered 502: Bad Gateway \(after 4 attempts"):
        http.get("/")

    assert len(upstream.asked) == 4


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 422])
def test_a_permanent_answer_is_asked_for_exactly_once(upstream: Upstream, raw: Memory, status: int) -> None:
    upstream.replies = [Reply(status, b'{"message": "Coin not found"}')]

    with (
        opened(upstream, raw) as http,
        pytest.raises(PermanentError, match=rf"^human_test: GET sandbox:/api/x answered {status}: .*Coin not"),
    ):
        http.get("/x")

    assert len(upstream.asked) == 1
    assert [kept.status for kept in raw.stored] == [status]


def test_a_rate_limited_source_is_asked_again_after_its_wait(upstream: Upstream) -> None:
    upstream.replies = [Reply(429, headers={"Retry-After": "1"}), Reply()]

    with opened(upstream) as http:
        http.get("/")

    assert upstream.asked[1].at - upstream.asked[0].at >= 1.0


def test_a_wait_given_as_a_date_is_honoured(upstream: Upstream) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    upstream.replies = [Reply(503, headers={"Retry-After": format_datetime(now + timedelta(seconds=1), usegmt=True)}), Reply()]

    with opened(upstream, clock=lambda: now) as http:
        http.get("/")

    assert upstream.asked[1].at - upstream.asked[0].at >= 1.0


@pytest.mark.parametrize(("status", "expected"), [(429, RateLimitedError), (503, UpstreamUnavailableError)])
def test_a_wait_that_passes_the_deadline_is_told_and_not_waited_for(
    upstream: Upstream, status: int, expected: type[RetryableError]
) -> None:
    upstream.replies = [Reply(status, headers={"Retry-After": "120"})]
    start = time.monotonic()

    with opened(upstream) as http, pytest.raises(expected) as raised:
        http.get("/", deadline_s=5)

    assert raised.value.retry_after_s == 120
    assert time.monotonic() - start < 4
    assert len(upstream.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"x" * 100, pieces=100, pause_s=0.1),  # a byte now and then: never silent for long
        Reply(body=b"x", announced=100, pause_s=5),  # silent after the first byte
    ],
    ids=["dribbling", "stalled"],
)
def test_a_body_that_does_not_end_is_cut_at_the_deadline(upstream: Upstream, reply: Reply) -> None:
    upstream.replies = [reply]
    start = time.monotonic()

    with opened(upstream) as http, pytest.raises(UpstreamUnavailableError):
        http.get("/", deadline_s=0.6)

    assert 0.5 < time.monotonic() - start < 4


def test_one_deadline_holds_over_all_attempts(upstream: Upstream) -> None:
    upstream.replies = [Reply(body=b"x", announced=100, pause_s=5)]
    start = time.monotonic()

    with opened(upstream, timeout_s=0.25) as http, pytest.raises(UpstreamUnavailableError):
        http.get("/", deadline_s=2.0)

    assert len(upstream.asked) >= 2
    assert time.monotonic() - start < 4


def test_an_upstream_that_is_not_there_is_unavailable() -> None:
    with opened("http://127.0.0.1:9") as http, pytest.raises(UpstreamUnavailableError, match="connection failed") as raised:
        http.get("/")

    assert raised.value.__cause__ is not None


def test_a_body_cut_short_is_asked_for_again(upstream: Upstream, raw: Memory) -> None:
    upstream.replies = [Reply(body=b"half", announced=8), Reply(body=b"complete")]

    with opened(upstream, raw) as http:
        payload = http.get("/")

    assert payload.body == b"complete"
    assert raw.stored == [payload]


def test_garbled_compression_is_asked_for_again(upstream: Upstream) -> None:
    upstream.replies = [Reply(body=b"not gzip", headers={"Content-Encoding": "gzip"}), Reply(body=b"fine")]

    with opened(upstream) as http:
        assert http.get("/").body == b"fine"


def test_a_url_that_is_none_is_a_wrong_setting() -> None:
    with opened("no-scheme") as http, pytest.raises(ConfigurationError):
        http.get("/")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"x" * 2000),
        Reply(body=gzip.compress(b"x" * 2000), headers={"Content-Encoding": "gzip"}),
    ],
    ids=["announced", "found after decompression"],
)
def test_a_body_beyond_the_cap_is_refused_once(upstream: Upstream, raw: Memory, reply: Reply) -> None:
    upstream.replies = [reply]

    with opened(upstream, raw, max_body_bytes=1000) as http, pytest.raises(UpstreamRefusedError, match="1000"):
        http.get("/")

    assert len(upstream.asked) == 1
    assert raw.stored == []


def test_a_compressed_body_within_the_cap_is_decompressed(upstream: Upstream) -> None:
    upstream.replies = [Reply(body=gzip.compress(b"plain words"), headers={"Content-Encoding": "gzip"})]

    with opened(upstream) as http:
        assert http.get("/").body == b"plain words"


@pytest.mark.parametrize(
    ("given", "sent"),
    [("ETag", ("If-None-Match", '"abc"')), ("Last-Modified", ("If-Modified-Since", "Sun, 01 Mar 2026 00:00:00 GMT"))],
)
def test_an_unchanged_body_is_not_sent_again_and_comes_from_the_store(
    upstream: Upstream, raw: Memory, given: str, sent: tuple[str, str]
) -> None:
    upstream.replies = [Reply(body=b"one", headers={given: sent[1]}), Reply(304)]

    with opened(upstream, raw) as http:
        first = http.get("/")
        raw.mark_parsed(first)
        second = http.get("/")

    assert upstream.asked[1].headers[sent[0]] == sent[1]
    assert (second.body, second.status, second.not_modified) == (b"one", 200, True)
    assert not first.not_modified
    assert raw.stored == [first, second]


def test_a_body_the_store_has_lost_is_asked_for_whole(upstream: Upstream, raw: Memory) -> None:
    upstream.replies = [Reply(body=b"one", headers={"ETag": '"abc"'}), Reply(304), Reply(body=b"one")]

    with opened(upstream, raw) as http:
        raw.mark_parsed(http.get("/"))
        raw.bodies.clear()
        payload = http.get("/")

    assert (payload.body, payload.not_modified) == (b"one", False)
    assert "If-None-Match" not in upstream.asked[2].headers


def test_an_unconditional_request_sends_no_validators(upstream: Upstream, raw: Memory) -> None:
    upstream.replies = [Reply(headers={"ETag": '"abc"'})]

    with opened(upstream, raw) as http:
        raw.mark_parsed(http.get("/"))
        http.get("/", conditional=False)

    assert "If-None-Match" not in upstream.asked[1].headers


def test_a_304_nobody_asked_for_is_refused(upstream: Upstream, raw: Memory) -> None:
    upstream.replies = [Reply(304)]

    with opened(upstream, raw) as http, pytest.raises(UpstreamRefusedError, match="304"):
        http.get("/")


def test_a_redirect_within_the_host_is_followed(upstream: Upstream) -> None:
    upstream.replies = [Reply(301, headers={"Location": "/api/new?a=1"}), Reply(body=b"moved")]

    with opened(upstream) as http:
        payload = http.get("/old")

    assert payload.body == b"moved"
    assert upstream.asked[1].path == "/api/new?a=1"


@pytest.mark.parametrize("location", ["http://localhost:1/api", "https://127.0.0.1/api", "//evil.example/api"])
def test_a_redirect_to_another_host_is_refused(upstream: Upstream, location: str) -> None:
    upstream.replies = [Reply(302, headers={"Location": location})]

    with opened(upstream) as http, pytest.raises(UpstreamRefusedError, match="not followed"):
        http.get("/old")

    assert len(upstream.asked) == 1


def test_a_circle_of_redirects_ends(upstream: Upstream) -> None:
    upstream.replies = [Reply(302, headers={"Location": "/api/old"})]

    with opened(upstream) as http, pytest.raises(UpstreamRefusedError):
        http.get("/old")

    assert len(upstream.asked) == 4


@pytest.mark.parametrize("path", [f"/{KEY}/prices", "/prices?sid=whatever", "/prices?api_key=whatever"])
@pytest.mark.parametrize("status", [200, 404, 500])
def test_no_key_is_told_to_rows_errors_or_logs(upstream: Upstream, raw: Memory, path: str, status: int) -> None:
    upstream.replies = [Reply(status, body=f"no such thing as {KEY}".encode())]

    with opened(upstream, raw) as http, capture_logs() as logs:
        said = _url_or_message(http, path)

    details = f"{said} {logs} {[kept.url for kept in raw.stored]}"
    assert "[redacted]" in details
    assert KEY not in details
    assert "whatever" not in details
    assert upstream.asked[0].path == f"/api{path}"


def test_what_an_upstream_echoes_is_stored_parsed_hashed_and_told_without_the_key(upstream: Upstream, raw: Memory) -> None:
    echo = json.dumps({"status": "invalid", "message": f"key {KEY}"}).replace("/", "\\/").encode()
    upstream.replies = [Reply(200, echo, {"ETag": f'"{KEY}"', "Last-Modified": "then"})]

    with opened(upstream, raw) as http:
        payload = http.get("/")
        raw.mark_parsed(payload)
        http.get("/")

    assert json.loads(payload.body) == {"status": "invalid", "message": "key [redacted]"}
    assert payload.sha256 == hashlib.sha256(payload.body).hexdigest()
    assert raw.stored[0].body == payload.body
    assert raw.etags[id(payload)] == (None, "then")
    assert "If-None-Match" not in upstream.asked[1].headers


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}ü–"])
def test_a_key_that_can_not_be_a_header_is_told_to_nobody_not_even_in_a_cause(upstream: Upstream, key: str) -> None:
    policy = replace(POLICY, auth=HeaderKey("X-Key", "venue"))
    settings = load_settings({}).model_copy(update={"sandbox_url": upstream.url})
    keys = {"venue": SecretStr(key)}

    with (
        pytest.raises(ConfigurationError) as raised,
        open_http("human_test", policy, settings, keys=keys) as http,
    ):
        http.get("/")

    error = raised.value
    details = str(serializable_error_info_from_exc_info((type(error), error, error.__traceback__)))  # type: ignore[arg-type] # it has one
    assert "cannot be sent" in details
    assert "k3y" not in details


def test_a_failure_of_the_parser_leaves_the_block_without_the_key(upstream: Upstream) -> None:
    def parse() -> None:
        with opened(upstream) as http:
            try:
                int(http.get("/").body + KEY.encode())
            except ValueError as error:
                raise PayloadChangedError(f"not a number: {KEY}") from error

    with pytest.raises(PayloadChangedError) as raised:
        parse()

    assert str(raised.value) == "not a number: [redacted]"
    assert KEY not in str(raised.value.__cause__)


def test_a_body_is_scrubbed_before_it_is_stored_hashed_and_parsed(upstream: Upstream, raw: Memory) -> None:
    upstream.replies = [Reply(body=b'{"author": "ada"}')]

    with opened(upstream, raw, scrub=lambda body: body.replace(b"ada", b"-")) as http:
        payload = http.get("/")

    assert payload.body == raw.stored[0].body == b'{"author": "-"}'


def test_a_body_that_can_not_be_scrubbed_is_not_stored(upstream: Upstream, raw: Memory) -> None:
    upstream.replies = [Reply(503, b"<author>ada</author>"), Reply(200, b"<author>ada</author>")]

    with opened(upstream, raw, scrub=json.loads) as http, pytest.raises(PayloadChangedError, match="can't be scrubbed"):
        http.get("/")

    assert raw.stored == []


@pytest.mark.parametrize(
    ("sent", "body", "media_type"),
    [
        ({"json": {"a": [1, "é"]}}, b'{"a": [1, "\\u00e9"]}', "application/json"),
        ({"form": {"a": "b c", "d": "é"}}, b"a=b+c&d=%C3%A9", "application/x-www-form-urlencoded"),
    ],
)
def test_a_document_and_a_form_are_sent_with_their_type(upstream: Upstream, sent: dict[str, Any], body: bytes, media_type: str) -> None:
    with opened(upstream) as http:
        http.post("/query", **sent)

    assert (upstream.asked[0].body, upstream.asked[0].headers["Content-Type"]) == (body, media_type)


def test_a_body_is_given_in_one_way(upstream: Upstream) -> None:
    with opened(upstream) as http, pytest.raises(TypeError, match="exactly one"):
        http.post("/query", content=b"", json={})


def _url_or_message(http: HttpClient, path: str) -> str:
    try:
        return http.get(path).url
    except OmcError as error:
        return f"{error!r} {error.__cause__!r}"


def test_a_retry_is_logged_with_its_reason_and_wait(upstream: Upstream) -> None:
    upstream.replies = [Reply(500), Reply()]

    with opened(upstream) as http, capture_logs() as logs:
        http.get("/")

    assert [(line["event"], line["attempt"]) for line in logs] == [("http.retry", 1)]
    assert "answered 500" in logs[0]["failure"]


def test_posted_bytes_arrive_as_they_were_signed(upstream: Upstream) -> None:
    body = b'{"nonce": 1,   "b":"\xc3\xa4"}'

    with opened(upstream) as http:
        http.post("/orders", content=body, headers={"sign": "abc"})

    assert (upstream.asked[0].method, upstream.asked[0].body, upstream.asked[0].headers["sign"]) == ("POST", body, "abc")


def test_a_post_that_may_not_be_repeated_is_sent_once(upstream: Upstream) -> None:
    upstream.replies = [Reply(500)]

    with opened(upstream) as http, pytest.raises(UpstreamUnavailableError):
        http.post("/orders", content=b"{}")

    assert len(upstream.asked) == 1


def test_each_attempt_of_a_signed_post_is_signed_anew_with_a_higher_nonce(upstream: Upstream) -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    upstream.replies = [Reply(500), Reply(500), Reply()]

    with opened(upstream, clock=lambda: moment, auth=SignedBody(("venue",), _signed)) as http:
        http.post("/orders", content=b"body", repeatable=True)

    nonces = [int(moment.timestamp() * 1000) + n for n in range(3)]
    assert [(asked.body, asked.headers["sign"]) for asked in upstream.asked] == [(f"body{n}".encode(), f"{KEY}{n}") for n in nonces]


def _signed(body: bytes, keys: Mapping[str, str], nonce: int) -> tuple[bytes, Mapping[str, str]]:
    return body + str(nonce).encode(), {"sign": f"{keys['venue']}{nonce}"}


def test_a_redirected_post_is_refused(upstream: Upstream) -> None:
    upstream.replies = [Reply(307, headers={"Location": "/api/elsewhere"})]

    with opened(upstream) as http, pytest.raises(UpstreamRefusedError):
        http.post("/orders", content=b"{}", repeatable=True)

    assert len(upstream.asked) == 1


def test_requests_leave_at_the_hosts_rate_across_clients(upstream: Upstream) -> None:
    limits, start = InProcessLimits(), time.monotonic()

    for _ in range(2):
        with opened(upstream, limits=limits, requests_per_s=20, burst=1) as http:
            for _ in range(4):
                http.get("/")

    assert upstream.asked[-1].at - start >= 7 * 0.05


def test_a_burst_leaves_at_once_and_then_the_rate_holds() -> None:
    limits, rate_limit = InProcessLimits(clock=lambda: 1000.0), RateLimit("api.example", requests_per_s=2, burst=5)

    waits = [limits.reserve(rate_limit, 60) for _ in range(7)]

    assert waits == [0, 0, 0, 0, 0, 0.5, 1.0]


def test_our_own_limit_does_not_wait_past_the_deadline(upstream: Upstream) -> None:
    start = time.monotonic()

    with opened(upstream, requests_per_s=0.1, burst=1) as http:
        http.get("/")
        with pytest.raises(RateLimitedError, match="our own limit"):
            http.get("/", deadline_s=0.3)

    assert time.monotonic() - start < 4
    assert len(upstream.asked) == 1


def test_access_refused_names_what_was_asked_and_what_was_said(upstream: Upstream) -> None:
    upstream.replies = [Reply(403, b"<html><title>Undeclared Automated Tool</title></html>")]

    with opened(upstream) as http, pytest.raises(AccessDeniedError) as raised:
        http.get("/submissions")

    assert str(raised.value) == "human_test: GET sandbox:/api/submissions answered 403: Undeclared Automated Tool"
