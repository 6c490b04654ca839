"""Spans of a session at a real OTLP/HTTP receiver: what was asked and used, and none of what was said."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from containment import STRANGERS_ORDER, Arena, panel
from http_upstream import Reply, Upstream, upstream
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from omc_agents.models.protocol import Request, Response
from omc_agents.models.scripted import ScriptedAnalyst
from omc_infra.errors import UpstreamRefusedError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings

CANARY = "canary-9f1d-planted-in-a-filing"


@dataclasses.dataclass(frozen=True)
class Seen:
    """A span as the receiver got it."""

    name: str
    attributes: dict[str, Any]
    span_id: bytes
    parent: bytes
    is_error: bool


class Failing(ScriptedAnalyst):
    """Fails with words from outside."""

    name = "openai/test-1"

    def complete(self, request: Request) -> Response:
        raise UpstreamRefusedError(f"no: {CANARY}")


@pytest.fixture(scope="module")
def arena(database: Database, settings: Settings) -> Arena:
    return Arena(database, settings)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """Return a receiver; the environment names traps, which nothing must reach."""
    with upstream() as trap, upstream() as opened:
        for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, trap.url)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
        opened.replies = [Reply(body=b"", headers={"Content-Type": "application/x-protobuf"})]
        yield opened
        assert trap.asked == []


def spans(receiver: Upstream) -> list[Seen]:
    found = []
    for asked in receiver.asked:
        assert asked.path == "/v1/traces"
        sent = ExportTraceServiceRequest.FromString(asked.body)
        for each in (span for resource in sent.resource_spans for scope in resource.scope_spans for span in scope.spans):
            attributes = {a.key: getattr(a.value, str(a.value.WhichOneof("value"))) for a in each.attributes}
            found.append(Seen(each.name, attributes, each.span_id, each.parent_span_id, each.status.code == 2))
    return found


def named(found: Sequence[Seen], name: str) -> Seen:
    (span,) = [span for span in found if span.name == name]
    return span


def test_a_session_its_steps_calls_and_tools_are_spans_of_one_tree(arena: Arena, receiver: Upstream) -> None:
    traced = dataclasses.replace(panel(ScriptedAnalyst()), trace_endpoint=receiver.url)

    outcome, _, shown, session_id = arena.brief("filing", CANARY, traced, "alice")

    found = spans(receiver)
    root = named(found, "invoke_agent omc")
    ids = {span.span_id: span for span in found}
    assert outcome == "published"
    assert root.parent == b""
    assert all(span.parent in ids for span in found if span is not root)
    assert root.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "omc",
        "gen_ai.conversation.id": session_id,
        "omc.trigger": "event",
        "omc.outcome": "published",
    }
    steps = [span.name for span in found if span.name.startswith("step ")]
    assert steps == [f"step {name}" for name in ("retrieve", "extract", "read", "analyse", "verify", "publish")]
    tool = named(found, "execute_tool get_order_history")
    assert (tool.attributes["omc.rows"], ids[tool.parent].name) == (1, "step retrieve")
    calls = [span for span in found if span.name == "chat analyst-1"]
    assert [call.attributes["omc.step"] for call in calls] == ["extraction", "reading", "analysis"]
    assert all(call.attributes["gen_ai.provider.name"] == "scripted" for call in calls)
    assert sum(call.attributes["gen_ai.usage.output_tokens"] for call in calls) > 0
    assert not any(span.is_error for span in found)
    assert shown["brief"]["body"]


def test_nothing_that_was_read_or_said_leaves_with_them(arena: Arena, receiver: Upstream) -> None:
    traced = dataclasses.replace(panel(Failing()), trace_endpoint=receiver.url)

    arena.brief("filing", CANARY, traced, "alice")

    sent = b"".join(asked.body for asked in receiver.asked)
    failed = [span for span in spans(receiver) if span.is_error]
    assert {span.attributes["error.type"] for span in failed} == {"UpstreamRefusedError"}
    assert {span.name for span in failed} == {"chat test-1", "step extract"}
    for secret in (CANARY, *STRANGERS_ORDER, "Acme Corp", "150000"):
        assert secret.encode() not in sent


def test_questions_have_their_tools_below_their_step(arena: Arena, receiver: Upstream) -> None:
    traced = dataclasses.replace(panel(ScriptedAnalyst()), trace_endpoint=receiver.url)

    outcome, _, _, _ = arena.ask(f"What is the price of BTC and what are my orders? {CANARY}", traced, "alice")

    found = spans(receiver)
    ids = {span.span_id: span.name for span in found}
    tools = [span for span in found if span.name.startswith("execute_tool ")]
    assert outcome == "published"
    assert {span.name for span in tools} >= {"execute_tool get_price_data", "execute_tool get_order_history"}
    assert {ids[span.parent] for span in tools} == {"step retrieve"}
    assert CANARY.encode() not in b"".join(asked.body for asked in receiver.asked)


@pytest.mark.parametrize("reply", [Reply(status=500), Reply(status=400), Reply(pause_s=30)], ids=["500", "400", "silent"])
def test_a_receiver_that_fails_costs_a_session_seconds_at_most_and_no_brief(arena: Arena, receiver: Upstream, reply: Reply) -> None:
    receiver.replies = [reply]
    traced = dataclasses.replace(panel(ScriptedAnalyst()), trace_endpoint=receiver.url)
    began = time.monotonic()

    assert arena.brief("filing", "Quarterly update", traced, "alice")[0] == "published"

    assert time.monotonic() - began < 25


def test_without_an_endpoint_nothing_is_sent(arena: Arena, receiver: Upstream) -> None:
    assert arena.brief("filing", "Quarterly update", panel(ScriptedAnalyst()), "alice")[0] == "published"
    assert receiver.asked == []
