"""Interface of the store for bodies that the client uses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from omc_infra.payload import Payload


@dataclass(frozen=True)
class Validators:
    """What makes a request conditional: the validators of the last parsed 200 of one request, and the digest of its body."""

    etag: str | None
    last_modified: str | None
    payload_sha256: str


class RawStore(Protocol):
    """Keeps every body under its SHA-256, and every fetch under the identity of its request."""

    def store(self, payload: Payload, *, etag: str | None, last_modified: str | None) -> None:
        """Store one body of any status with the validators of its response; equal bodies are stored once."""
        ...

    def mark_parsed(self, payload: Payload) -> None:
        """Note that a body was parsed and its rows stored; called in the transaction that stores them.

        Only such a body gives validators. A body with status 200 that was cut on its way would otherwise stay the last one known: the
        upstream answers 304 until its document changes.
        """
        ...

    def validators(self, source: str, request_sha256: str) -> Validators | None:
        """Return the validators of the last parsed 200 that a source had of a request, or None."""
        ...

    def newest(self, source: str, request_sha256: str, since: datetime) -> tuple[str, datetime] | None:
        """Return digest and fetch time of the newest 200 that a source had of a request since a time, or None."""
        ...

    def body(self, sha256: str) -> bytes:
        """Return one body.

        Raises:
            LookupError: It is not, or no longer, in the store; the client then asks for it anew.
        """
        ...
