"""What every adapter of a provider must do, over the provider's own wire format and SDK, against a real local server."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from provider_stand_in import (
    CANARY,
    MODELS,
    Fault,
    NotingStandIn,
    cut,
    cut_stream,
    failing,
    full_answer,
    model_at,
    raw,
    serving,
    slow_headers,
)

from omc_agents.models.catalogue import listed
from omc_agents.models.failures import ContextTooLongError, UnansweredError
from omc_agents.models.protocol import Opaque, Request, Response, StreamingModel, Text, TextPart, Tool, ToolCall, ToolResult, Turn, Usage
from omc_agents.stand_in.formats import Asked, answer_document
from omc_infra.errors import (
    AccessDeniedError,
    OmcError,
    PayloadChangedError,
    QuotaExhaustedError,
    RateLimitedError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)

SCHEMA = {"title": "extraction", "type": "object", "properties": {"event_kind": {"type": "string", "maxLength": 9, "default": "x"}}}
TOOL = Tool("look", "Look a price up.", {"type": "object", "properties": {"symbol": {"type": "string"}}})
ASKED = Request("Be brief.", (Turn("user", (Text("What is it?"),)),), SCHEMA, (TOOL,), 500, 5.0)
KEY_HEADERS = {"openai": ("authorization", f"Bearer {CANARY}"), "anthropic": ("x-api-key", CANARY), "google": ("x-goog-api-key", CANARY)}


@pytest.fixture(scope="module")
def server() -> Iterator[NotingStandIn]:
    with serving(full_answer) as running:
        yield running


@pytest.fixture(params=MODELS)
def provider(request: pytest.FixtureRequest, server: NotingStandIn) -> str:
    server.notes.calls.clear()
    server.notes.faults.clear()
    return str(request.param)


@pytest.fixture
def model(provider: str, server: NotingStandIn) -> StreamingModel:
    return model_at(server, provider)


def fails(model: StreamingModel, server: NotingStandIn, fault: Fault, request: Request = ASKED) -> OmcError:
    """Return what a call fails with; the key is neither in it nor in anything it was raised from."""
    server.notes.faults.append(fault)
    asked = len(server.notes.calls)
    with pytest.raises(OmcError) as found:
        model.complete(request)
    assert len(server.notes.calls) == asked + 1, "an SDK asked again by itself"
    text = "".join(traceback.format_exception(found.value, chain=True))
    assert found.value.__cause__ is None
    assert found.value.__context__ is None
    assert CANARY not in text + repr(vars(found.value))
    return found.value


def test_an_answer_has_its_words_calls_usage_and_ids(model: StreamingModel) -> None:
    answer = model.complete(ASKED)

    assert answer.text == '{"event_kind": "other"}'
    assert [block for block in answer.blocks if isinstance(block, ToolCall)] == [ToolCall("call-1", "look", {"symbol": "BTC"})]
    assert (answer.stop, answer.model_reported, answer.request_id) == ("tool", model.name.partition("/")[2], "rid-1")
    assert (answer.usage.input, answer.usage.output, answer.usage.cached_read) == (100, 20, 40)
    assert (answer.usage.parts, answer.usage.unattributed) == (160, 0)
    assert len(answer.raw_sha256) == 64


def test_a_stream_ends_with_the_same_answer(model: StreamingModel) -> None:
    whole = model.complete(ASKED)

    *pieces, last = model.stream(ASKED)

    assert isinstance(last, Response)
    assert all(isinstance(piece, TextPart) for piece in pieces)
    assert len(pieces) > 1
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextPart)) == last.text == whole.text
    assert (last.stop, last.usage, last.model_reported) == (whole.stop, whole.usage, whole.model_reported)
    assert [b for b in last.blocks if isinstance(b, ToolCall)] == [b for b in whole.blocks if isinstance(b, ToolCall)]


def test_the_key_goes_in_its_header_and_nothing_else_goes_along(model: StreamingModel, provider: str, server: NotingStandIn) -> None:
    model.complete(ASKED)

    [call] = server.notes.calls
    name, value = KEY_HEADERS[provider]
    assert call.headers[name] == value
    assert sum(CANARY in held for held in call.headers.values()) == 1
    assert CANARY not in call.path + json.dumps(call.body)


def test_the_schema_is_asked_for_closed_and_the_tools_are_offered(model: StreamingModel, provider: str, server: NotingStandIn) -> None:
    model.complete(ASKED)

    body = server.notes.calls[0].body
    schema = {
        "openai": lambda: body["text"]["format"]["schema"],
        "anthropic": lambda: body["output_config"]["format"]["schema"],
        "google": lambda: body["generationConfig"]["responseJsonSchema"],
    }[provider]()
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["event_kind"]
    assert "maxLength" not in json.dumps(schema)
    assert '"look"' in json.dumps(body["tools"])


def test_nothing_is_stored_at_the_provider(model: StreamingModel, provider: str, server: NotingStandIn) -> None:
    answer = model.complete(ASKED)
    model.complete(Request("s", (*ASKED.turns, Turn("assistant", answer.blocks)), {}))

    for call in server.notes.calls:
        assert "previous_response_id" not in call.body
        assert "conversation" not in call.body
        assert "cachedContent" not in call.body
        if provider == "openai":
            assert call.body["store"] is False
            assert call.body["include"] == ["reasoning.encrypted_content"]


def test_a_turn_goes_back_verbatim_and_a_tool_result_with_it(model: StreamingModel, provider: str, server: NotingStandIn) -> None:
    answer = model.complete(ASKED)
    result = Turn("tool", (ToolResult("call-1", "look", {"price": "900"}),))

    model.complete(Request("s", (*ASKED.turns, Turn("assistant", answer.blocks), result), {}))

    [own] = [block for block in answer.blocks if isinstance(block, Opaque)]
    sent = server.notes.calls[-1].body
    turns = sent["input"] if provider == "openai" else sent["messages" if provider == "anthropic" else "contents"]
    kept = next(iter(own.content.values()))
    held = turns[1:-1] if provider == "openai" else turns[1]["content" if provider == "anthropic" else "parts"]
    assert held == kept
    assert "900" in json.dumps(turns[-1])
    assert "call-1" in json.dumps(turns[-1])


def test_another_providers_turn_is_told_in_plain_blocks(model: StreamingModel, provider: str, server: NotingStandIn) -> None:
    foreign = Turn("assistant", (Text("I look."), ToolCall("call-9", "look", {"symbol": "ETH"}), Opaque("elsewhere", {"sealed": "zzz"})))

    model.complete(Request("s", (*ASKED.turns, foreign, Turn("tool", (ToolResult("call-9", "look", {"n": 1}),))), {}))

    sent = json.dumps(server.notes.calls[-1].body)
    assert "I look." in sent
    assert "ETH" in sent
    assert "zzz" not in sent


STATUSES: list[tuple[int, str, str, type[OmcError]]] = [
    (401, "authentication_error", f"Incorrect API key provided: {CANARY}", AccessDeniedError),
    (403, "permission_error", f"key {CANARY} may not", AccessDeniedError),
    (404, "not_found_error", "model: none", UpstreamRefusedError),
    (429, "rate_limit_error", "slow down", RateLimitedError),
    (500, "api_error", "oops", UpstreamUnavailableError),
    (503, "unavailable", "high demand", UpstreamUnavailableError),
    (529, "overloaded_error", "Overloaded", UpstreamUnavailableError),
    (418, "teapot", "what", UpstreamRefusedError),
]


@pytest.mark.parametrize(("status", "kind", "message", "failure"), STATUSES)
def test_a_status_has_its_failure(
    model: StreamingModel, provider: Any, server: NotingStandIn, status: int, kind: str, message: str, failure: type[OmcError]
) -> None:
    found = fails(model, server, failing(provider, status, kind, message, {"request-id": "req-42"}))

    assert type(found) is failure
    assert f"{provider} answered {status}" in str(found)
    assert "req-42" in str(found)
    assert message not in str(found)


def test_a_wait_that_is_asked_for_is_told(model: StreamingModel, provider: Any, server: NotingStandIn) -> None:
    asked = fails(model, server, failing(provider, 429, "rate_limit_error", headers={"retry-after": "17"}))
    silent = fails(model, server, failing(provider, 429, "rate_limit_error"))

    assert isinstance(asked, RateLimitedError)
    assert isinstance(silent, RateLimitedError)
    assert (asked.retry_after_s, silent.retry_after_s) == (17.0, None)


def test_no_money_is_no_rate_limit(model: StreamingModel, provider: Any, server: NotingStandIn) -> None:
    status, kind, words = {
        "openai": (429, "insufficient_quota", "You exceeded your current quota"),
        "anthropic": (400, "invalid_request_error", "Your credit balance is too low"),
        "google": (403, "PERMISSION_DENIED", "This API method requires billing to be enabled"),
    }[provider]

    assert isinstance(fails(model, server, failing(provider, status, kind, words)), QuotaExhaustedError)


def test_a_prompt_that_is_too_long_says_so(model: StreamingModel, provider: Any, server: NotingStandIn) -> None:
    kind, words = {
        "openai": ("context_length_exceeded", "Your input exceeds the context window of this model"),
        "anthropic": ("invalid_request_error", "prompt is too long: 1000001 tokens > 1000000 maximum"),
        "google": ("INVALID_ARGUMENT", "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576)"),
    }[provider]

    assert isinstance(fails(model, server, failing(provider, 400, kind, words)), ContextTooLongError)


def test_a_refusal_is_an_answer_that_was_paid_for(provider: str) -> None:
    def declined(asked: Asked) -> Response:
        return Response((Text("I can't."),), "refusal", Usage(5, 3, 0, 0, 0, 8), asked.model, "rid-2", "")

    with serving(declined) as server:
        answer = model_at(server, provider).complete(ASKED)

    assert (answer.stop, answer.usage.parts) == ("refusal", 8)


def test_an_answer_that_was_cut_at_its_limit_says_so(provider: str) -> None:
    def short(asked: Asked) -> Response:
        return Response((Text('{"event'),), "length", Usage(5, 3, 0, 0, 0, 8), asked.model, "rid-2", "")

    with serving(short) as server:
        assert model_at(server, provider).complete(ASKED).stop == "length"


def test_a_cut_connection_leaves_the_outcome_unknown(model: StreamingModel, server: NotingStandIn) -> None:
    assert isinstance(fails(model, server, cut), UnansweredError)


def test_a_cut_stream_is_no_answer(model: StreamingModel, provider: Any, server: NotingStandIn) -> None:
    asked = Asked(provider, "m", True, "", "", "")
    server.notes.faults.append(cut_stream(asked))

    with pytest.raises((UnansweredError, PayloadChangedError)) as found:
        list(model.stream(ASKED))

    assert found.value.__cause__ is None


def test_slow_headers_end_at_the_deadline(model: StreamingModel, server: NotingStandIn) -> None:
    model.complete(ASKED)  # the SDK is imported
    began = time.monotonic()

    found = fails(model, server, slow_headers, Request("s", ASKED.turns, {}, deadline_s=0.6))

    assert isinstance(found, UnansweredError)
    assert time.monotonic() - began < 10


def test_nobody_there_costs_nothing(provider: str) -> None:
    with serving(full_answer) as server:
        gone = model_at(server, provider)

    with pytest.raises(UpstreamUnavailableError) as found:
        gone.complete(ASKED)

    assert not isinstance(found.value, UnansweredError)


@pytest.mark.parametrize("body", [b"{not json", b"[]", b"{}", b"null", b'{"output": 5, "content": 5, "candidates": 5}', b"\xff\xfe"])
def test_a_body_that_is_no_answer_is_a_changed_payload(model: StreamingModel, server: NotingStandIn, body: bytes) -> None:
    assert isinstance(fails(model, server, raw(body)), PayloadChangedError)


def test_unknown_fields_are_no_failure(model: StreamingModel, provider: Any, server: NotingStandIn) -> None:
    asked = Asked(provider, "m", False, "", "", "")
    document = answer_document(asked, full_answer(asked))
    usage = document["usageMetadata" if provider == "google" else "usage"]
    usage["invented_tokens"] = 3
    document |= {"invented": {"deep": [1]}}
    server.notes.faults.append(raw(json.dumps(document).encode()))

    assert model.complete(ASKED).usage.parts == 160


def test_tokens_beyond_the_parts_are_unattributed(model: StreamingModel, provider: Any, server: NotingStandIn) -> None:
    if provider == "anthropic":
        pytest.skip("gives no total")
    asked = Asked(provider, "m", False, "", "", "")
    document = answer_document(asked, full_answer(asked))
    total = {"openai": ("usage", "total_tokens"), "google": ("usageMetadata", "totalTokenCount")}[provider]
    document[total[0]][total[1]] = 175
    server.notes.faults.append(raw(json.dumps(document).encode()))

    usage = model.complete(ASKED).usage

    assert (usage.parts, usage.unattributed, usage.total) == (160, 15, 175)


def test_no_key_is_logged_whatever_the_log_level(
    model: StreamingModel, provider: Any, server: NotingStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        model.complete(ASKED)
        fails(model, server, failing(provider, 401, "authentication_error", f"Incorrect API key provided: {CANARY}"))
        list(model.stream(ASKED))

    assert CANARY not in caplog.text
    assert all(CANARY not in repr(vars(record)) for record in caplog.records)


def test_costs_follow_the_list() -> None:
    opus, gemini = listed().model("anthropic/claude-opus-5-5"), listed().model("google/gemini-3.8-flash")
    usage = Usage(1_000, 100, 10_000, 2_000, 50, 13_150)

    assert opus.cost_usd(usage, date(2026, 11, 27)) == Decimal("0.019")
    assert gemini.cost_usd(Usage(1_000_000), date(2026, 12, 31)) * 2 == gemini.cost_usd(Usage(1_000_000), date(2027, 1, 1))
