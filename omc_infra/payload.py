"""One response body with URL and time of the fetch; the unit of the raw store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property


@dataclass(frozen=True)
class Payload:
    """One body.

    Attributes:
        source: Name of the source that asked.
        body: The bytes: decompressed, secrets cut out, scrubbed. These are stored, hashed and parsed.
        fetched_at: When the response had arrived, aware UTC; a replay keeps it.
        url: What was asked, secrets cut out.
        status: HTTP status.
        media_type: Content-Type without parameters, lower case; empty where none was given.
        context: What the parser must know beside the body (whose account it is); never a secret.
        not_modified: The upstream answered 304 and ``body`` is the stored one.
        method: HTTP method.
        request_sha256: Identity of the request, of ``request_identity``; made from method, URL and context where none is given.
        run_id: The run that asked, or None.
    """

    source: str
    body: bytes
    fetched_at: datetime
    url: str
    status: int = 200
    media_type: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    not_modified: bool = False
    method: str = "GET"
    request_sha256: str = ""
    run_id: str | None = None

    def __post_init__(self) -> None:
        if not self.request_sha256:
            object.__setattr__(self, "request_sha256", request_identity(self.method, self.url, context=self.context))

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the body: its name in the raw store."""
        return hashlib.sha256(self.body).hexdigest()


def request_identity(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, context: Mapping[str, str] | None = None
) -> str:
    """Return a hex digest of everything that determines an answer: requests with the same digest ask for the same data.

    Args:
        method: HTTP method.
        url: Whole URL on the first host, secrets cut out; the same whichever host answers.
        body: What is sent before it is signed, secrets cut out; None and empty are the same.
        headers: Declared headers, without validators and authentication, secrets cut out; their names' case doesn't matter.
        context: Context of the request.
    """
    parts = [method.upper(), url]
    if body or headers or context:
        named = {name.lower(): value for name, value in (headers or {}).items()}
        digest = hashlib.sha256(body or b"").hexdigest()
        parts += [digest, *(json.dumps(dict(part), sort_keys=True) for part in (named, context or {}))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
