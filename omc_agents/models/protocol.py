"""What every model is asked and how it answers, whoever provides it.

A provider's failures arrive in the house's tree (``failures``): a refused key is ``AccessDeniedError``, too many calls
``RateLimitedError``, no money ``QuotaExhaustedError``, overload and time-outs ``UpstreamUnavailableError``, a prompt that is too long
``ContextTooLongError``, an answer that can't be read ``PayloadChangedError``. A refusal is an answer that was paid for: its ``stop``
says so.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from omc_agents.claims.evidence import canonical_sha256


@dataclass(frozen=True)
class Text:
    """Words."""

    text: str


@dataclass(frozen=True)
class ToolCall:
    """A tool the model wants called."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class ToolResult:
    """What a called tool returned, for the turn after the call."""

    call_id: str
    name: str
    content: Mapping[str, Any]
    is_error: bool = False


@dataclass(frozen=True)
class Opaque:
    """A whole turn as its provider sent it, with signatures and encrypted reasoning.

    A turn that holds one of the asked provider is handed back verbatim; another provider is sent the turn's texts and calls instead.
    """

    provider: str
    content: Mapping[str, Any]


Block = Text | ToolCall | ToolResult | Opaque


@dataclass(frozen=True)
class Turn:
    """One side's part of a conversation."""

    role: Literal["user", "assistant", "tool"]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Tool:
    """A tool offered to the model; ``parameters`` is a JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """One call. ``output_schema`` is the JSON schema of the answer; its ``title`` names the question."""

    system: str
    turns: tuple[Turn, ...]
    output_schema: Mapping[str, Any]
    tools: tuple[Tool, ...] = ()
    max_output_tokens: int = 2_000
    deadline_s: float = field(default=60.0, compare=False)

    @property
    def question(self) -> str:
        """Name of the question; empty where it has none."""
        return str(self.output_schema.get("title", ""))

    def as_document(self) -> dict[str, Any]:
        """Return what is asked, as JSON; the deadline is no part of the question."""
        document = dataclasses.asdict(self)
        document.pop("deadline_s")
        return document

    def sha256(self, model: str) -> str:
        """Name this question to this model: the key of the call ledger."""
        return canonical_sha256({"model": model, "request": json.loads(json.dumps(self.as_document()))})


@dataclass(frozen=True)
class Usage:
    """Tokens of one call; no token is in two parts.

    Attributes:
        input: Read at the full price, neither from a cache nor written to one.
        output: Written as an answer.
        reasoning: Thought before the answer; priced as output.
        total: What the provider itself gives as the sum; None where it gives none.
    """

    input: int = 0
    output: int = 0
    cached_read: int = 0
    cached_write: int = 0
    reasoning: int = 0
    total: int | None = None

    @property
    def unattributed(self) -> int:
        """Tokens of the provider's total that belong to no part; negative where the parts are more than the total."""
        return 0 if self.total is None else self.total - self.parts

    @property
    def parts(self) -> int:
        """Sum of the parts."""
        return self.input + self.output + self.cached_read + self.cached_write + self.reasoning


@dataclass(frozen=True)
class Response:
    """One answer; ``raw_sha256`` names the body as the provider sent it."""

    blocks: tuple[Block, ...]
    stop: Literal["end", "tool", "length", "refusal"]
    usage: Usage
    model_reported: str
    request_id: str
    raw_sha256: str

    @property
    def text(self) -> str:
        """All words of the answer."""
        return "".join(block.text for block in self.blocks if isinstance(block, Text))


class Model(Protocol):
    """Anything that answers requests."""

    @property
    def name(self) -> str:
        """Provider and model, as the call ledger names it."""
        ...

    def complete(self, request: Request) -> Response:
        """Ask the model once and return what it says within the deadline; raises errors of the house only."""
        ...


@dataclass(frozen=True)
class TextPart:
    """A piece of the answer's words, as it arrives."""

    text: str


class StreamingModel(Model, Protocol):
    """A model that also answers piece by piece."""

    def stream(self, request: Request) -> Iterator[TextPart | Response]:
        """Yield the words as they arrive and, as the last item, the whole answer; raises errors of the house only."""
        ...
