"""A model's answer as the call ledger keeps it: JSON out, the same answer back in."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from omc_agents.claims.safety import storable_text
from omc_agents.models.protocol import Block, Opaque, Response, Text, ToolCall, ToolResult, Usage
from omc_infra.errors import PayloadChangedError

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


def storable(response: Response) -> Response:
    """Return a response as the call ledger can keep it, so that a session goes on with what a replay will read.

    Raises:
        PayloadChangedError: It is nested too deep.
    """
    try:
        return from_document(_kept(as_document(response)))
    except RecursionError:
        raise PayloadChangedError("model: the answer is nested too deep to be kept") from None


def _kept(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {storable_text(str(name)): _kept(inner) for name, inner in value.items()}
    return [_kept(inner) for inner in value] if isinstance(value, (list, tuple)) else value
