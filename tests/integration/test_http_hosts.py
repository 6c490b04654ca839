"""Several hosts in order, and the identity of a request, which is the same whichever host answers."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from omc_infra.errors import AccessDeniedError, OmcError, RateLimitedError, UpstreamUnavailableError
from omc_infra.http import HeaderKey, HostPolicy, HttpClient, InProcessLimits, open_http
from omc_infra.settings import Settings, load_settings

sys.path.insert(0, str(Path(__file__).parent))

from http_upstream import Memory, Reply, Upstream
from http_upstream import upstream as serving_upstream

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return load_settings({"OMC_PROFILE": "live", "OMC_CONTACT": "data@fund.example"})


@pytest.fixture
def pair() -> Iterator[tuple[Upstream, Upstream]]:
    with ExitStack() as stack:
        first, second = stack.enter_context(serving_upstream()), stack.enter_context(serving_upstream())
        first.replies, second.replies = [Reply(body=b"first")], [Reply(body=b"second")]
        yield first, second


@contextmanager
def opened(settings: Settings, *urls: str, raw: Memory | None = None, hosts: tuple[str, ...] = (), **fields: Any) -> Iterator[HttpClient]:
    policy = HostPolicy(urls, "/api", **{"requests_per_s": 1000, "burst": 100, "attempts": 2, "backoff_s": 0.01, **fields})
    keys = {"venue": SecretStr("a-key-of-the-venue"), "other": SecretStr("another-key")}
    with open_http("test", policy, settings, keys=keys, raw=raw, limits=InProcessLimits(), live_urls={"": hosts}) as http:
        yield http


def test_the_first_host_is_asked_and_the_others_only_when_it_is_down(live: Settings, pair: tuple[Upstream, Upstream]) -> None:
    first, second = pair

    with opened(live, first.url, second.url) as http:
        assert http.get("/a").body == b"first"

    assert second.asked == []


@pytest.mark.parametrize("reply", [Reply(503), Reply(500), Reply(body=b"cut", announced=100), Reply(body=b"x", announced=9, pause_s=30)])
def test_a_host_that_is_down_is_passed_over_within_the_attempt(live: Settings, pair: tuple[Upstream, Upstream], reply: Reply) -> None:
    first, second = pair
    first.replies = [reply]

    with opened(live, first.url, second.url, timeout_s=0.3) as http, capture_logs() as logs:
        payload = http.get("/a")

    assert (payload.body, payload.url) == (b"second", f"{second.url}/a")
    assert [(line["event"], line["next"]) for line in logs] == [("http.failover", second.url)]


def test_a_host_that_is_not_there_is_passed_over_and_the_one_that_answered_is_asked_first_from_then_on(
    live: Settings, pair: tuple[Upstream, Upstream]
) -> None:
    with opened(live, NOBODY, pair[0].url) as http, capture_logs() as logs:
        assert [http.get(path).body for path in ("/a", "/b")] == [b"first", b"first"]

    assert len(logs) == 1


@pytest.mark.parametrize(
    ("reply", "expected"), [(Reply(403), AccessDeniedError), (Reply(429, headers={"Retry-After": "900"}), RateLimitedError)]
)
def test_a_refusal_holds_for_all_hosts(live: Settings, pair: tuple[Upstream, Upstream], reply: Reply, expected: type[OmcError]) -> None:
    pair[0].replies = [reply]

    with opened(live, pair[0].url, pair[1].url) as http, pytest.raises(expected):
        http.get("/a")

    assert (len(pair[0].asked), len(pair[1].asked)) == (1, 0)


def test_one_deadline_holds_over_all_hosts_and_a_hanging_one_leaves_time_for_the_next(
    live: Settings, pair: tuple[Upstream, Upstream]
) -> None:
    pair[0].replies = [Reply(body=b"x" * 100, pieces=100, pause_s=0.2)]
    start = time.monotonic()

    with opened(live, pair[0].url, pair[1].url) as http:
        assert http.get("/a", deadline_s=4).body == b"second"

    assert time.monotonic() - start < 4


def test_when_all_are_down_the_last_failure_is_told(live: Settings, pair: tuple[Upstream, Upstream]) -> None:
    pair[0].replies, pair[1].replies = [Reply(500)], [Reply(502)]

    with opened(live, pair[0].url, pair[1].url) as http, pytest.raises(UpstreamUnavailableError, match="answered 502"):
        http.get("/a")

    assert (len(pair[0].asked), len(pair[1].asked)) == (2, 2)


def test_a_post_that_may_not_be_repeated_goes_to_one_host(live: Settings, pair: tuple[Upstream, Upstream]) -> None:
    pair[0].replies = [Reply(500)]

    with opened(live, pair[0].url, pair[1].url) as http, pytest.raises(UpstreamUnavailableError):
        http.post("/orders", json={})

    assert (len(pair[0].asked), len(pair[1].asked)) == (1, 0)


def test_a_request_has_one_identity_whichever_host_answers_and_whichever_hosts_are_set(
    live: Settings, pair: tuple[Upstream, Upstream]
) -> None:
    declared = ("https://api.example", "https://mirror.example")
    identities = set()
    for hosts in ((pair[0].url,), (NOBODY, pair[1].url)):
        with opened(live, *declared, hosts=hosts) as http:
            identities.add(http.get("/a").request_sha256)

    assert len(identities) == 1


def test_the_hosts_that_are_set_are_asked_in_the_live_profile_only(live: Settings, pair: tuple[Upstream, Upstream]) -> None:
    sandbox = live.model_copy(update={"profile": "sandbox", "sandbox_url": pair[0].url})

    with opened(sandbox, "https://api.example", hosts=(pair[1].url,)) as http:
        http.get("/a")

    assert (len(pair[0].asked), len(pair[1].asked)) == (1, 0)


def test_what_decides_an_answer_makes_another_identity_and_what_does_not_makes_none(pair: tuple[Upstream, Upstream]) -> None:
    raw, settings = Memory(), Settings(sandbox_url=pair[0].url)
    with opened(settings, "https://api.example", raw=raw) as http:
        different = [
            http.get("/a"),
            http.get("/b"),
            http.get("/a", params={"page": "2"}),
            http.get("/a", params={"token": "BTC"}),
            http.get("/a", params={"token": "ETH"}),
            http.get("/a", headers={"Accept": "text/csv"}),
            http.get("/a", context={"user_id": "ada"}),
            http.get("/a", context={"user_id": "bob"}),
            http.post("/a", json={"query": "{ blocks }"}),
            http.post("/a", json={"query": "{ votes }"}),
            http.post("/a", form={"method": "eth_call"}),
        ]
        same = [http.get("/a"), http.get("/a", headers={}, deadline_s=5)]
    with opened(settings, "https://api.example", auth=HeaderKey("X-Key", "venue")) as http:
        same.append(http.get("/a"))
    with opened(settings, "https://api.example", auth=HeaderKey("X-Key", "other")) as http:
        same.append(http.get("/a"))

    assert len({payload.request_sha256 for payload in different}) == len(different)
    assert {payload.request_sha256 for payload in same} == {different[0].request_sha256}
    assert [payload.method for payload in raw.stored[-5:-2]] == ["POST"] * 3


def test_a_secret_in_a_body_is_no_part_of_the_identity(pair: tuple[Upstream, Upstream]) -> None:
    settings, identities = Settings(sandbox_url=pair[0].url), set()
    for key in ("first-of-the-keys", "second-of-the-keys"):
        policy = HostPolicy(("https://api.example",), "/api", requests_per_s=1000, burst=10)
        with open_http("test", policy, settings, keys={"venue": SecretStr(key)}, limits=InProcessLimits()) as http:
            identities.add(http.post("/rpc", json={"key": key, "method": "m"}).request_sha256)

    assert len(identities) == 1


def test_validators_belong_to_one_identity(pair: tuple[Upstream, Upstream]) -> None:
    raw = Memory()
    pair[0].replies = [Reply(headers={"ETag": '"blocks"'})]

    with opened(Settings(sandbox_url=pair[0].url), "https://api.example", raw=raw) as http:
        raw.mark_parsed(http.post("/graphql", json={"query": "{ blocks }"}, conditional=True))
        http.post("/graphql", json={"query": "{ votes }"}, conditional=True)
        http.post("/graphql", json={"query": "{ blocks }"}, conditional=True)

    assert [asked.headers.get("If-None-Match") for asked in pair[0].asked] == [None, None, '"blocks"']


def test_a_fetch_knows_its_run(pair: tuple[Upstream, Upstream]) -> None:
    raw, policy = Memory(), HostPolicy(("https://api.example",), "/api", requests_per_s=1000)

    with open_http("test", policy, Settings(sandbox_url=pair[0].url), raw=raw, limits=InProcessLimits(), run_id="run-7") as http:
        http.get("/a")

    assert raw.stored[0].run_id == "run-7"
