"""Google's Gemini by ``generateContent``, which stores nothing and is typed by its SDK.

The newer Interactions API stores by default, takes an untyped body and a client of its own; see decision 0032.
Source: https://ai.google.dev/api/generate-content, looked at on 2026-11-27.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from omc_agents.models.exchange import NO_KEY
from omc_agents.models.protocol import Block, Opaque, Request, Text, ToolCall, ToolResult, Turn, Usage
from omc_agents.models.schema import portable_schema
from omc_agents.models.sdk import Document, SdkModel

if TYPE_CHECKING:
    from google.genai import Client

API_VERSION = "v1beta"
_STOPS = {"STOP": "end", "MAX_TOKENS": "length"}
_REFUSED = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "MODEL_ARMOR", "ESCALATION", "IMAGE_SAFETY"}
)


class GeminiModel(SdkModel):
    """A model of Google."""

    provider: ClassVar[str] = "google"

    @cached_property
    def _client(self) -> Client:
        from google.genai import Client, types

        options = types.HttpOptions(
            base_url=self._endpoint.base_url,
            api_version=API_VERSION,
            headers={},
            httpx_client=self._wire.client(),
            retry_options=types.HttpRetryOptions(attempts=1),
        )
        return Client(enterprise=False, vertexai=False, api_key=NO_KEY, http_options=options)

    def _prepare(self) -> None:
        _ = self._client.models

    def _body(self, request: Request) -> dict[str, Any]:
        config: dict[str, Any] = {
            "system_instruction": request.system,
            "max_output_tokens": request.max_output_tokens,
            "automatic_function_calling": {"disable": True},
        }
        if request.output_schema:
            config |= {"response_mime_type": "application/json", "response_json_schema": portable_schema(request.output_schema)}
        if request.tools:
            declared = [
                {"name": tool.name, "description": tool.description, "parameters_json_schema": portable_schema(tool.parameters)}
                for tool in request.tools
            ]
            config["tools"] = [{"function_declarations": declared}]
        contents = [{"role": "model" if turn.role == "assistant" else "user", "parts": _parts(turn)} for turn in request.turns]
        return {"model": self.model, "contents": contents, "config": config}

    def _ask(self, body: Mapping[str, Any], deadline_s: float) -> Document:
        return _document(self._client.models.generate_content(**_timed(body, deadline_s)))

    def _pieces(self, body: Mapping[str, Any], deadline_s: float) -> Generator[str, None, Document]:
        whole: dict[str, Any] = {}
        parts: list[Mapping[str, Any]] = []
        for chunk in self._client.models.generate_content_stream(**_timed(body, deadline_s)):
            document = _document(chunk)
            new = [part for candidate in document.get("candidates", []) for part in (candidate.get("content") or {}).get("parts") or []]
            parts += new
            whole |= document
            yield from (part["text"] for part in new if part.get("text") and not part.get("thought"))
        if not whole.get("candidates") and not whole.get("promptFeedback"):
            raise EOFError("the stream is empty")
        if whole.get("candidates"):
            last = whole["candidates"][0]
            if not last.get("finishReason"):
                raise EOFError("the stream has no end")
            whole["candidates"] = [{**last, "content": {"role": "model", "parts": parts}}]
        return whole

    @staticmethod
    def _read(document: Document) -> tuple[tuple[Block, ...], Any, Usage, str]:
        usage, model = _usage(document["usageMetadata"]), str(document.get("modelVersion") or "")
        if not document.get("candidates"):
            if (document.get("promptFeedback") or {}).get("blockReason"):
                return (), "refusal", usage, model
            raise ValueError("neither an answer nor a reason why there is none")
        candidate = document["candidates"][0]
        parts = (candidate.get("content") or {}).get("parts") or []
        blocks: list[Block] = [Text(part["text"]) for part in parts if part.get("text") and not part.get("thought")]
        calls = [part["functionCall"] for part in parts if "functionCall" in part]
        blocks += [ToolCall(call.get("id") or call["name"], call["name"], dict(call.get("args") or {})) for call in calls]
        blocks.append(Opaque("google", {"parts": parts}))
        reason = candidate["finishReason"]
        stop = "refusal" if reason in _REFUSED else _STOPS[reason]
        return tuple(blocks), "tool" if calls and stop == "end" else stop, usage, model


def _timed(body: Mapping[str, Any], deadline_s: float) -> dict[str, Any]:
    return {**body, "config": {**body["config"], "http_options": {"timeout": max(1, int(deadline_s * 1000))}}}


def _document(answer: Any) -> dict[str, Any]:
    document: dict[str, Any] = answer.model_dump(mode="json", by_alias=True, exclude_none=True, warnings=False)
    document["id"] = document.get("responseId")
    return document


def _usage(usage: Document) -> Usage:
    cached = usage.get("cachedContentTokenCount") or 0
    read = (usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0)
    return Usage(
        input=read - cached,
        output=usage.get("candidatesTokenCount") or 0,
        cached_read=cached,
        reasoning=usage.get("thoughtsTokenCount") or 0,
        total=usage.get("totalTokenCount"),
    )


def _parts(turn: Turn) -> list[Mapping[str, Any]]:
    own = [block for block in turn.blocks if isinstance(block, Opaque) and block.provider == "google"]
    if own:
        return [part for block in own for part in block.content["parts"]]
    return [part for block in turn.blocks if (part := _part(block)) is not None]


def _part(block: Block) -> Mapping[str, Any] | None:
    match block:
        case Text(words):
            return {"text": words}
        case ToolCall(call_id, name, arguments):
            return {"functionCall": {"id": call_id, "name": name, "args": dict(arguments)}}
        case ToolResult(call_id, name, content, is_error):
            return {"functionResponse": {"id": call_id, "name": name, "response": {"error" if is_error else "output": dict(content)}}}
        case _:
            return None
