"""The states of a session and who may own one; what they mean for whoever works on it."""

from __future__ import annotations

from typing import Literal

SYSTEM_USER = "system"
"""Owner of the sessions that events start; nobody's orders are read for it."""
Trigger = Literal["event", "question", "schedule", "alert", "mcp"]
"""What began a session; ``mcp``: a server for MCP clients, which reads under it and publishes nothing."""
Status = Literal["queued", "running", "waiting", "published", "inconclusive", "refused", "failed", "cancelled"]
"""``waiting``: for a person; ``inconclusive``: too few claims could be verified; ``refused``: the model's answer was of no use."""
WaitingFor = Literal["answer", "approval", "resume"]
FINISHED: tuple[Status, ...] = ("published", "inconclusive", "refused", "failed", "cancelled")
"""Nothing more happens to a session in one of these; the database has the same list as ``agents.is_finished``."""
