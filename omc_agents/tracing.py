"""Spans of agent sessions by OpenTelemetry, sent to an OTLP endpoint where one is set; otherwise nothing is recorded or imported.

A span says what was done, by which model, how long it took and what it used. It holds no content: no prompt, answer, document, row, key or
message of an error. Names are those of OpenTelemetry's conventions for generative AI, pinned here: the conventions still change.
Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/ (1.37).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Span, Tracer

P = ParamSpec("P")
R = TypeVar("R")

OPERATION, PROVIDER, AGENT, CONVERSATION = "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.agent.name", "gen_ai.conversation.id"
REQUEST_MODEL, RESPONSE_MODEL, RESPONSE_ID = "gen_ai.request.model", "gen_ai.response.model", "gen_ai.response.id"
INPUT_TOKENS, OUTPUT_TOKENS = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
FINISH_REASONS, TOOL, ERROR_TYPE = "gen_ai.response.finish_reasons", "gen_ai.tool.name", "error.type"
STEP, TRIGGER, OUTCOME, ROWS, PROFILE = "omc.step", "omc.trigger", "omc.outcome", "omc.rows", "omc.profile"
PROVIDERS: Mapping[str, str] = {"openai": "openai", "anthropic": "anthropic", "google": "gcp.gemini"}
"""Our names of providers, and the conventions'; others are their own."""
SEND_WITHIN_S = 2.0
"""A session waits so long, at its end, for an endpoint that does not answer."""

Attribute = str | int | float | bool | tuple[str, ...]


class Trace:
    """The spans of one session, kept in memory until it ends."""

    def __init__(self, endpoint: str, profile: str) -> None:
        """Prepare a trace.

        Args:
            endpoint: Base URL of the OTLP/HTTP receiver; ``/v1/traces`` is added.
            profile: Of the platform; part of the resource.
        """
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        ended: list[ReadableSpan] = []

        class _Kept(SpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                ended.append(span)

        self._endpoint, self._ended = f"{endpoint.rstrip('/')}/v1/traces", ended
        provider = TracerProvider(ALWAYS_ON, Resource({"service.name": "omc", PROFILE: profile}), shutdown_on_exit=False)
        provider.add_span_processor(_Kept())
        self.tracer: Tracer = provider.get_tracer("omc_agents")  # type: ignore[assignment]

    def send(self) -> bool:
        """Send the ended spans; return whether the endpoint took them. What it does not take is lost, and logged without its words."""
        import requests
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SpanExportResult

        session = requests.Session()
        session.trust_env = False  # no proxy and no login of the environment
        exporter = OTLPSpanExporter(self._endpoint, timeout=SEND_WITHIN_S, session=session)
        try:
            return exporter.export(list(self._ended)) is SpanExportResult.SUCCESS
        finally:
            exporter.shutdown()  # type: ignore[no-untyped-call]
            session.close()


_current: ContextVar[tuple[Trace, Span | None] | None] = ContextVar("omc_trace", default=None)


@contextmanager
def tracing(trace: Trace | None) -> Iterator[None]:
    """Record the spans of a block in a trace; None records nothing."""
    token = _current.set(None if trace is None else (trace, None))
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def span(
    name: str, attributes: Mapping[str, Attribute], *, kind: Literal["internal", "client"] = "internal"
) -> Iterator[Callable[[Mapping[str, Attribute]], None]]:
    """Record what a block does; without a trace it costs a look at a variable.

    Args:
        name: Of the span.
        attributes: What it is about; no content.
        kind: ``client`` for what asks another machine.

    Yields:
        A function that adds attributes.
    """
    current = _current.get()
    if current is None:
        yield _nothing
        return
    from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

    trace, parent = current
    started: Any = trace.tracer.start_span(
        name,
        context=None if parent is None else set_span_in_context(parent),
        kind=SpanKind.CLIENT if kind == "client" else SpanKind.INTERNAL,
        attributes=dict(attributes),
        record_exception=False,
        set_status_on_exception=False,
    )
    token = _current.set((trace, started))
    try:
        yield lambda more: started.set_attributes(dict(more))
    except BaseException as error:
        started.set_attribute(ERROR_TYPE, type(error).__name__)
        started.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        _current.reset(token)
        started.end()


def carried(work: Callable[P, R]) -> Callable[P, R]:
    """Return a function that other threads call with the present span as the parent of its own."""
    current = _current.get()

    def in_context(*args: P.args, **kwargs: P.kwargs) -> R:
        def inner() -> R:
            _current.set(current)
            return work(*args, **kwargs)

        return copy_context().run(inner)

    return in_context


def tool(method: Callable[P, list[R]]) -> Callable[P, list[R]]:
    """Record each call of a tool, with how many rows it returned."""

    @wraps(method)
    def recorded(*args: P.args, **kwargs: P.kwargs) -> list[R]:
        with span(f"execute_tool {method.__name__}", {OPERATION: "execute_tool", TOOL: method.__name__}) as note:
            rows = method(*args, **kwargs)
            note({ROWS: len(rows)})
            return rows

    return recorded


def _nothing(_attributes: Mapping[str, Attribute]) -> None:
    """Add nothing: there is no span."""
