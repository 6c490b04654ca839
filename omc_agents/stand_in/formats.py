"""The providers' wire formats, read and written as the providers do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omc_agents.models.catalogue import Provider
from omc_agents.models.protocol import Response, Text, ToolCall
from omc_infra.errors import BadInputError

Document = dict[str, Any]
_GEMINI = re.compile(r"/google/v1beta/models/([A-Za-z0-9._-]+):(generateContent|streamGenerateContent)")


@dataclass(frozen=True)
class Asked:
    """One call as it came over the wire; ``words`` are all texts of the conversation, ``question`` is the schema's title."""

    provider: Provider
    model: str
    is_stream: bool
    system: str
    words: str
    question: str


def read_call(path: str, body: Mapping[str, Any]) -> Asked:
    """Read a call.

    Raises:
        BadInputError: It is of no format we know.
    """
    route = path.partition("?")[0]
    try:
        if route == "/openai/responses":
            title = ((body.get("text") or {}).get("format") or {}).get("name", "")
            words = "".join(part.get("text", "") for item in body["input"] for part in item.get("content", ()))
            return Asked("openai", body["model"], bool(body.get("stream")), body.get("instructions") or "", words, title)
        if route == "/anthropic/v1/messages":
            schema = ((body.get("output_config") or {}).get("format") or {}).get("schema") or {}
            words = "".join(part.get("text", "") for message in body["messages"] for part in message["content"])
            return Asked("anthropic", body["model"], bool(body.get("stream")), body.get("system") or "", words, schema.get("title", ""))
        if found := _GEMINI.fullmatch(route):
            schema = (body.get("generationConfig") or {}).get("responseJsonSchema") or {}
            words = "".join(part.get("text", "") for content in body["contents"] for part in content["parts"])
            system = "".join(part.get("text", "") for part in (body.get("systemInstruction") or {}).get("parts", ()))
            return Asked("google", found[1], found[2] != "generateContent", system, words, schema.get("title", ""))
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInputError(f"the call is not of the format of {route}: {type(error).__name__}") from error
    raise BadInputError(f"no stand-in answers {route}")


def answer_document(asked: Asked, answer: Response) -> Document:
    """Return an answer as its provider writes it."""
    texts = [block.text for block in answer.blocks if isinstance(block, Text)]
    calls = [block for block in answer.blocks if isinstance(block, ToolCall)]
    return {"openai": _openai, "anthropic": _anthropic, "google": _google}[asked.provider](asked, answer, texts, calls)


def stream_lines(provider: Provider, document: Document) -> Iterator[bytes]:
    """Yield the same answer as server-sent events."""
    events = {"openai": _openai_events, "anthropic": _anthropic_events, "google": _google_events}[provider](document)
    for name, data in events:
        head = f"event: {name}\n" if name else ""
        yield f"{head}data: {json.dumps(data)}\n\n".encode()


def error_document(provider: Provider, status: int, kind: str, message: str) -> Document:
    """Return an error as its provider writes it; ``kind`` is its code."""
    match provider:
        case "openai":
            return {"error": {"message": message, "type": kind, "param": None, "code": kind}}
        case "anthropic":
            return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_stand_in"}
        case "google":
            return {"error": {"code": status, "message": message, "status": kind, "details": []}}


def _openai(asked: Asked, answer: Response, texts: Sequence[str], calls: Sequence[ToolCall]) -> Document:
    usage, refused = answer.usage, answer.stop == "refusal"
    part = "refusal" if refused else "text"
    content: list[Document] = [{"type": "refusal" if refused else "output_text", part: words, "annotations": []} for words in texts]
    items: list[Document] = [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2VhbGVk"}]
    if content:
        items.append({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content})
    items += [
        {
            "type": "function_call",
            "id": f"fc_{n}",
            "call_id": call.call_id,
            "name": call.name,
            "arguments": json.dumps(dict(call.arguments)),
        }
        for n, call in enumerate(calls)
    ]
    return {
        "id": answer.request_id,
        "object": "response",
        "created_at": 0,
        "model": asked.model,
        "status": "incomplete" if answer.stop == "length" else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if answer.stop == "length" else None,
        "output": items,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": usage.input + usage.cached_read,
            "input_tokens_details": {"cached_tokens": usage.cached_read},
            "output_tokens": usage.output + usage.reasoning,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.parts + usage.unattributed,
        },
    }


def _anthropic(asked: Asked, answer: Response, texts: Sequence[str], calls: Sequence[ToolCall]) -> Document:
    stops = {"end": "end_turn", "tool": "tool_use", "length": "max_tokens", "refusal": "refusal"}
    content: list[Document] = [{"type": "text", "text": words} for words in texts]
    content += [{"type": "tool_use", "id": call.call_id, "name": call.name, "input": dict(call.arguments)} for call in calls]
    return {
        "id": answer.request_id,
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content,
        "stop_reason": stops[answer.stop],
        "stop_sequence": None,
        "usage": {
            "input_tokens": answer.usage.input,
            "output_tokens": answer.usage.output + answer.usage.reasoning,
            "cache_read_input_tokens": answer.usage.cached_read,
            "cache_creation_input_tokens": answer.usage.cached_write,
        },
    }


def _google(asked: Asked, answer: Response, texts: Sequence[str], calls: Sequence[ToolCall]) -> Document:
    stops = {"end": "STOP", "tool": "STOP", "length": "MAX_TOKENS", "refusal": "SAFETY"}
    parts: list[Document] = [{"text": words} for words in texts]
    parts += [
        {"functionCall": {"id": call.call_id, "name": call.name, "args": dict(call.arguments)}, "thoughtSignature": "c2VhbGVk"}
        for call in calls
    ]
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": stops[answer.stop], "index": 0}],
        "usageMetadata": {
            "promptTokenCount": answer.usage.input + answer.usage.cached_read,
            "cachedContentTokenCount": answer.usage.cached_read,
            "candidatesTokenCount": answer.usage.output,
            "thoughtsTokenCount": answer.usage.reasoning,
            "totalTokenCount": answer.usage.parts + answer.usage.unattributed,
        },
        "modelVersion": asked.model,
        "responseId": answer.request_id,
    }


Events = Iterator[tuple[str, Document]]


def _openai_events(document: Document) -> Events:
    begun = {**document, "status": "in_progress", "output": [], "usage": None}
    yield "response.created", {"type": "response.created", "sequence_number": 0, "response": begun}
    number = 0
    for index, item in enumerate(document["output"]):
        for part in item.get("content", ()):
            for words in _pieces(part.get("text", "")):
                number += 1
                place = {"item_id": item["id"], "output_index": index, "content_index": 0, "sequence_number": number, "logprobs": []}
                yield "response.output_text.delta", {"type": "response.output_text.delta", "delta": words, **place}
    name = "response.incomplete" if document["status"] == "incomplete" else "response.completed"
    yield name, {"type": name, "sequence_number": number + 1, "response": document}


def _anthropic_events(document: Document) -> Events:
    usage = document["usage"]
    begun = {**document, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield "message_start", {"type": "message_start", "message": begun}
    for index, part in enumerate(document["content"]):
        is_text = part["type"] == "text"
        empty = {**part, "text": ""} if is_text else {**part, "input": {}}
        yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": empty}
        for piece in _pieces(part["text"] if is_text else json.dumps(part["input"])):
            delta = {"type": "text_delta", "text": piece} if is_text else {"type": "input_json_delta", "partial_json": piece}
            yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": document["stop_reason"], "stop_sequence": None}
    yield "message_delta", {"type": "message_delta", "delta": ended, "usage": {"output_tokens": usage["output_tokens"]}}
    yield "message_stop", {"type": "message_stop"}


def _google_events(document: Document) -> Events:
    candidate = document["candidates"][0]
    for part in candidate["content"]["parts"]:
        for words in _pieces(part.get("text", "")):
            chunk = {"content": {"role": "model", "parts": [{"text": words}]}, "index": 0}
            yield "", {"candidates": [chunk], "modelVersion": document["modelVersion"], "responseId": document["responseId"]}
    rest = [part for part in candidate["content"]["parts"] if "text" not in part]
    yield "", {**document, "candidates": [{**candidate, "content": {"role": "model", "parts": rest}}]}


def _pieces(words: str) -> list[str]:
    half = len(words) // 2
    return [piece for piece in (words[:half], words[half:]) if piece]
