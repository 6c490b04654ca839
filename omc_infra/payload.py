"""One response body as it came off the wire, with when and where it was fetched; the unit of the raw store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property


@dataclass(frozen=True)
class Payload:
    """One body.

    Attributes:
        source: Name of the source that asked.
        body: The bytes, decompressed.
        fetched_at: When the response had arrived, aware UTC; a replay keeps it.
        url: What was asked, secrets struck out.
        status: HTTP status.
        media_type: Content-Type without parameters, lower case; empty where none was given.
        context: What the parser must know beside the body (whose account it is); never a secret.
        not_modified: The upstream said 304 and ``body`` is the stored one.
    """

    source: str
    body: bytes
    fetched_at: datetime
    url: str
    status: int = 200
    media_type: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    not_modified: bool = False

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the body: its name in the raw store."""
        return hashlib.sha256(self.body).hexdigest()
