"""A model's answer as the call ledger keeps it: JSON out, the same answer back in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from omc_agents.models.protocol import Block, Opaque, Response, Text, ToolCall, ToolResult, Usage

_BLOCKS: Mapping[str, type[Block]] = {"text": Text, "tool_call": ToolCall, "tool_result": ToolResult, "opaque": Opaque}


def as_document(response: Response) -> dict[str, Any]:
    """Return the JSON form of a response."""
    names = {kind: name for name, kind in _BLOCKS.items()}
    blocks = [{"block": names[type(block)], **dataclasses.asdict(block)} for block in response.blocks]
    return {**dataclasses.asdict(response), "blocks": blocks}


def from_document(document: Mapping[str, Any]) -> Response:
    """Return the response a document was made of."""
    blocks: list[Block] = [_BLOCKS[block["block"]](**{k: v for k, v in block.items() if k != "block"}) for block in document["blocks"]]
    return Response(**{**document, "blocks": tuple(blocks), "usage": Usage(**document["usage"])})
