"""Anthropic's Messages API.

Source: https://platform.claude.com/docs/en/api/messages, looked at on 2026-11-27.
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
    from anthropic import Anthropic

_STOPS = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tool",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


class AnthropicModel(SdkModel):
    """A model of Anthropic."""

    provider: ClassVar[str] = "anthropic"

    @cached_property
    def _client(self) -> Anthropic:
        from anthropic import Anthropic

        return Anthropic(
            api_key=NO_KEY,
            base_url=self._endpoint.base_url,
            webhook_key="",
            max_retries=0,
            default_headers={},
            http_client=self._wire.client(),
        )

    def _prepare(self) -> None:
        _ = self._client.messages

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "system": request.system,
            "messages": [
                {"role": "assistant" if turn.role == "assistant" else "user", "content": _content(turn)} for turn in request.turns
            ],
            "max_tokens": request.max_output_tokens,
        }
        if request.output_schema:
            body["output_config"] = {"format": {"type": "json_schema", "schema": portable_schema(request.output_schema)}}
        if request.tools:
            body["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": portable_schema(tool.parameters)}
                for tool in request.tools
            ]
        return body

    def _ask(self, body: Mapping[str, Any], deadline_s: float) -> Document:
        answer: Document = self._client.messages.create(**body, timeout=deadline_s).to_dict(mode="json", warnings=False)
        return answer

    def _pieces(self, body: Mapping[str, Any], deadline_s: float) -> Generator[str, None, Document]:
        with self._client.messages.stream(**body, timeout=deadline_s) as stream:
            yield from stream.text_stream
            message = stream.get_final_message()
        if message.stop_reason is None:
            raise EOFError("the stream has no end")
        return message.to_dict(mode="json", warnings=False)

    @staticmethod
    def _read(document: Document) -> tuple[tuple[Block, ...], Any, Usage, str]:
        content = document["content"]
        blocks: list[Block] = [Text(part["text"]) for part in content if part["type"] == "text"]
        blocks += [ToolCall(part["id"], part["name"], dict(part["input"])) for part in content if part["type"] == "tool_use"]
        blocks.append(Opaque("anthropic", {"content": content}))
        return tuple(blocks), _STOPS[document["stop_reason"]], _usage(document["usage"]), document["model"]


def _usage(usage: Document) -> Usage:
    """Read the usage; the provider gives no total, and cached tokens stand beside those of the input."""
    reasoning = (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0
    return Usage(
        input=usage["input_tokens"],
        output=usage["output_tokens"] - reasoning,
        cached_read=usage.get("cache_read_input_tokens") or 0,
        cached_write=usage.get("cache_creation_input_tokens") or 0,
        reasoning=reasoning,
    )


def _content(turn: Turn) -> list[Mapping[str, Any]]:
    own = [block for block in turn.blocks if isinstance(block, Opaque) and block.provider == "anthropic"]
    if own:
        return [part for block in own for part in block.content["content"]]
    return [part for block in turn.blocks if (part := _part(block)) is not None]


def _part(block: Block) -> Mapping[str, Any] | None:
    match block:
        case Text(words):
            return {"type": "text", "text": words}
        case ToolCall(call_id, name, arguments):
            return {"type": "tool_use", "id": call_id, "name": name, "input": dict(arguments)}
        case ToolResult(call_id, _, content, is_error):
            return {"type": "tool_result", "tool_use_id": call_id, "content": json.dumps(dict(content)), "is_error": is_error}
        case _:
            return None
