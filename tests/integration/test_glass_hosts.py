"""Nodes that fail are passed over whatever they answer, and an API that is paid by credits says when they are used up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from http_upstream import Memory, Reply, Upstream
from http_upstream import upstream as serving_upstream
from pydantic import SecretStr

from omc_infra.errors import QuotaExhaustedError, RateLimitedError, UpstreamUnavailableError
from omc_infra.http import InProcessLimits, open_http
from omc_infra.payload import Payload
from omc_infra.settings import Settings, load_settings
from omc_pipeline.collection.source import FetchContext, Source
from omc_pipeline.sources import glass_chain, glass_nansen

FIXTURES = Path(__file__).parent.parent / "fixtures"
BLOCK = (FIXTURES / "glass_chain/heads.json").read_bytes()
FLOWS = (FIXTURES / "glass_nansen/netflow.json").read_bytes()
ETHEREUM = glass_chain.SOURCE.config.model_validate({"chains": ["ethereum"]})


def _error(code: int) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "no"}}).encode()


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return load_settings({"OMC_PROFILE": "live", "OMC_CONTACT": "data@fund.example"})


@pytest.fixture
def pair() -> Iterator[tuple[Upstream, Upstream]]:
    with ExitStack() as stack:
        first, second = stack.enter_context(serving_upstream()), stack.enter_context(serving_upstream())
        second.replies = [Reply(body=BLOCK)]
        yield first, second


def _fetched(live: Settings, source: Source, *urls: str, config: object = None, raw: Memory | None = None) -> list[Payload]:
    assert source.policy is not None
    keys = {"nansen": SecretStr("a-key-of-nansen")}
    fetch = source.endpoints[0].fetch
    assert fetch is not None
    with open_http(source.name, source.policy, live, keys=keys, raw=raw, limits=InProcessLimits(), live_urls={"": urls}) as http:
        return list(fetch(FetchContext(http, config or source.config(), datetime.now(UTC))))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b'{"jsonrpc": "2.0", "id": 1, "result": null}'),
        Reply(body=_error(-32029)),
        Reply(body=_error(-32012)),
        Reply(500, body=_error(-32000)),
        Reply(429, headers={"Retry-After": "3600"}),
        Reply(401, body=b"Must be authenticated!"),
        Reply(503),
    ],
)
def test_a_node_that_fails_in_whatever_way_is_passed_over_for_the_next(
    live: Settings, pair: tuple[Upstream, Upstream], reply: Reply
) -> None:
    first, second = pair
    first.replies = [reply]

    (payload,) = _fetched(live, glass_chain.SOURCE, first.url, second.url, config=ETHEREUM)

    assert payload.body == BLOCK
    assert payload.context["chain"] == "ethereum"
    assert (len(first.asked), len(second.asked)) == (1, 1)


def test_the_failure_of_the_last_node_is_raised_by_its_name(live: Settings, pair: tuple[Upstream, Upstream]) -> None:
    first, second = pair
    first.replies, second.replies = [Reply(503)], [Reply(body=_error(-32029))]

    with pytest.raises(RateLimitedError, match="-32029"):
        _fetched(live, glass_chain.SOURCE, first.url, second.url, config=ETHEREUM)
    first.replies = second.replies = [Reply(body=b'{"jsonrpc": "2.0", "id": 1, "result": null}')]
    with pytest.raises(UpstreamUnavailableError, match="result is null"):
        _fetched(live, glass_chain.SOURCE, first.url, second.url, config=ETHEREUM)


def test_two_bodies_sent_to_one_address_are_two_requests(live: Settings, pair: tuple[Upstream, Upstream]) -> None:
    _, node = pair
    policy = glass_chain.SOURCE.policy
    assert policy is not None

    with open_http("glass_chain", policy, live, limits=InProcessLimits(), live_urls={"": (node.url,)}) as http:
        asked = [http.post("", json={"jsonrpc": "2.0", "id": 1, "method": name}, repeatable=True) for name in ("a", "b", "a")]

    assert asked[0].request_sha256 == asked[2].request_sha256 != asked[1].request_sha256


def test_what_an_answer_cost_comes_with_it_and_the_key_does_not(live: Settings, pair: tuple[Upstream, Upstream]) -> None:
    upstream, raw = pair[0], Memory()
    upstream.replies = [Reply(body=FLOWS, headers={"X-Nansen-Credits-Cost": "5", "X-Nansen-Credits-Remaining": "995"})]

    (payload,) = _fetched(live, glass_nansen.SOURCE, upstream.url, raw=raw)

    assert payload.context == {"header.x-nansen-credits-cost": "5", "header.x-nansen-credits-remaining": "995"}
    assert raw.stored[0].context == payload.context
    assert {name.lower(): value for name, value in upstream.asked[0].headers.items()}["apikey"] == "a-key-of-nansen"
    assert "a-key-of-nansen" not in repr(payload)


@pytest.mark.parametrize(("status", "said"), [(402, "Insufficient"), (403, "Your plan has no credits left")])
def test_used_up_credits_are_an_error_that_is_asked_for_once(
    live: Settings, pair: tuple[Upstream, Upstream], status: int, said: str
) -> None:
    upstream = pair[0]
    upstream.replies = [Reply(status, body=json.dumps({"message": said}).encode())]

    with pytest.raises(QuotaExhaustedError, match=said):
        _fetched(live, glass_nansen.SOURCE, upstream.url)
    assert len(upstream.asked) == 1


def test_pages_are_asked_for_until_the_last_or_until_as_many_as_one_look_may_cost(live: Settings, pair: tuple[Upstream, Upstream]) -> None:
    upstream, more = pair[0], FLOWS.replace(b'"is_last_page": true', b'"is_last_page": false')
    config = glass_nansen.SOURCE.config.model_validate({"pages": 3})

    upstream.replies = [Reply(body=more), Reply(body=FLOWS)]
    until_last = _fetched(live, glass_nansen.SOURCE, upstream.url, config=config)
    upstream.replies = [Reply(body=more)]
    bounded = _fetched(live, glass_nansen.SOURCE, upstream.url, config=config)

    assert (len(until_last), len(bounded)) == (2, 3)
    assert [json.loads(asked.body)["pagination"]["page"] for asked in upstream.asked] == [1, 2, 1, 2, 3]


def test_bitcoin_and_solana_are_asked_at_the_next_provider_when_one_fails(live: Settings, pair: tuple[Upstream, Upstream]) -> None:
    first, second = pair
    block = {"blockHeight": 371_000_000, "blockTime": 1_789_000_000, "blockhash": "5" * 43}
    blocks = [{"id": "0" * 64, "height": 900_001, "timestamp": 1_789_000_000, "tx_count": 7}]
    answers = [blocks, *({"jsonrpc": "2.0", "id": 1, "result": result} for result in (392_000_001, block))]
    first.replies = [Reply(503), Reply(body=_error(-32005)), Reply(body=_error(-32004))]
    second.replies = [Reply(body=json.dumps(answer).encode()) for answer in answers]
    config, policy = glass_chain.SOURCE.config.model_validate({"chains": ["bitcoin", "solana"]}), glass_chain.SOURCE.policy
    fetch, urls = glass_chain.SOURCE.endpoints[0].fetch, (first.url, second.url)
    assert policy is not None
    assert fetch is not None

    with open_http("glass_chain", policy, live, limits=InProcessLimits(), live_urls={"bitcoin": urls, "solana": urls}) as http:
        payloads = list(fetch(FetchContext(http, config, datetime.now(UTC))))

    rows = [row for payload in payloads for row in glass_chain.SOURCE.parse(payload, config).rows]
    assert [(row.chain, row.number) for row in rows] == [("bitcoin", 900_001), ("solana", 371_000_000)]  # type: ignore[attr-defined]
