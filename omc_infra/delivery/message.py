"""A message as every channel takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

Severity = Literal["low", "medium", "high"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""From the least to the most severe."""


@dataclass(frozen=True)
class Message:
    """One message to one or several channels.

    Attributes:
        key: Names the message; the same key is sent to a channel once, however often it is queued.
        topic: What it is about in one word, such as ``alert``.
        title: One line.
        body: Plain text of several lines.
        at: When it was written.
        severity: How urgent it is.
        document: The same content as plain data, for receivers that are programs.
        refers_to: Key of an earlier message that this one belongs to; it is sent after that one, and only where that one was sent.
        user_id: Whose data it holds; it is erased with that user. None: nobody's.
    """

    key: str
    topic: str
    title: str
    body: str
    at: datetime
    severity: Severity = "low"
    document: Mapping[str, Any] = field(default_factory=dict)
    refers_to: str | None = None
    user_id: str | None = None

    @property
    def text(self) -> str:
        """Title and body in one."""
        return f"{self.title}\n{self.body}"
