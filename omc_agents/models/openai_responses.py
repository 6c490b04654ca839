"""OpenAI's Responses API. Nothing is stored there: each call carries the whole conversation, reasoning encrypted.

Source: https://developers.openai.com/api/reference/resources/responses, looked at on 2026-11-27.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from omc_agents.models.exchange import NO_KEY
from omc_agents.models.protocol import Block, Opaque, Request, Text, ToolCall, ToolResult, Turn, Usage
from omc_agents.models.schema import portable_schema
from omc_agents.models.sdk import Document, SdkModel

if TYPE_CHECKING:
    from openai import OpenAI


class OpenAIModel(SdkModel):
    """A model of OpenAI."""

    provider: ClassVar[str] = "openai"

    @cached_property
    def _client(self) -> OpenAI:
        from openai import OpenAI

        client = OpenAI(
            api_key=NO_KEY,
            base_url=self._endpoint.base_url,
            organization="",
            project="",
            webhook_secret="",
            max_retries=0,
            default_headers={},
            http_client=self._wire.client(),
        )
        client.organization = client.project = None
        return client

    def _prepare(self) -> None:
        _ = self._client.responses

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "instructions": request.system,
            "input": [item for turn in request.turns for item in _items(turn)],
            "max_output_tokens": request.max_output_tokens,
            "store": False,
            "include": ["reasoning.encrypted_content"],
        }
        if request.output_schema:
            schema = portable_schema(request.output_schema)
            body["text"] = {"format": {"type": "json_schema", "name": request.question or "answer", "schema": schema, "strict": True}}
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": portable_schema(tool.parameters),
                    "strict": True,
                }
                for tool in request.tools
            ]
        return body

    def _ask(self, body: Mapping[str, Any], deadline_s: float) -> Document:
        answer: Document = self._client.responses.create(**body, timeout=deadline_s).to_dict(mode="json", warnings=False)
        return answer

    def _pieces(self, body: Mapping[str, Any], deadline_s: float) -> Generator[str, None, Document]:
        answer: Document | None = None
        with self._client.responses.create(**body, timeout=deadline_s, stream=True) as events:
            for event in events:
                if event.type == "response.output_text.delta":
                    yield event.delta
                elif event.type in {"response.completed", "response.incomplete", "response.failed"}:
                    answer = event.response.to_dict(mode="json", warnings=False)
        if answer is None:
            raise EOFError("the stream has no end")
        return answer

    @staticmethod
    def _read(document: Document) -> tuple[tuple[Block, ...], Any, Usage, str]:
        items = document["output"]
        parts = [part for item in items if item["type"] == "message" for part in item["content"]]
        blocks: list[Block] = [Text(part["text"]) for part in parts if part["type"] == "output_text"]
        calls = [item for item in items if item["type"] == "function_call"]
        blocks += [ToolCall(call["call_id"], call["name"], json.loads(call["arguments"])) for call in calls]
        blocks.append(Opaque("openai", {"items": items}))
        is_refused = any(part["type"] == "refusal" for part in parts)
        return tuple(blocks), _stop(document, is_refused=is_refused, calls=bool(calls)), _usage(document["usage"]), document["model"]


def _stop(document: Document, *, is_refused: bool, calls: bool) -> str:
    reason = (document.get("incomplete_details") or {}).get("reason")
    if is_refused or reason == "content_filter":
        return "refusal"
    if document["status"] == "incomplete":
        return "length"
    if document["status"] != "completed":
        raise ValueError(document["status"])
    return "tool" if calls else "end"


def _usage(usage: Document) -> Usage:
    read, written = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
    cached, stored = read.get("cached_tokens") or 0, read.get("cache_write_tokens") or 0
    reasoning = written.get("reasoning_tokens") or 0
    return Usage(
        input=usage["input_tokens"] - cached - stored,
        output=usage["output_tokens"] - reasoning,
        cached_read=cached,
        cached_write=stored,
        reasoning=reasoning,
        total=usage.get("total_tokens"),
    )


def _items(turn: Turn) -> list[Mapping[str, Any]]:
    own = [block for block in turn.blocks if isinstance(block, Opaque) and block.provider == "openai"]
    if own:
        return [item for block in own for item in block.content["items"]]
    return [item for block in turn.blocks if (item := _item(turn.role, block)) is not None]


def _item(role: str, block: Block) -> Mapping[str, Any] | None:
    match block:
        case Text(words):
            kind = "output_text" if role == "assistant" else "input_text"
            return {"type": "message", "role": "assistant" if role == "assistant" else "user", "content": [{"type": kind, "text": words}]}
        case ToolCall(call_id, name, arguments):
            return {"type": "function_call", "call_id": call_id, "name": name, "arguments": json.dumps(dict(arguments))}
        case ToolResult(call_id, _, content, is_error):
            return {"type": "function_call_output", "call_id": call_id, "output": json.dumps({"error": content} if is_error else content)}
        case _:
            return None
