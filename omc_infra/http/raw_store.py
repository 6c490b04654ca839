"""Where the client hands every body, and asks what it knows already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from omc_infra.payload import Payload


@dataclass(frozen=True)
class Validators:
    """What makes a request conditional: the marks of the last 200 of one URL, and the digest of its body."""

    etag: str | None
    last_modified: str | None
    payload_sha256: str


class RawStore(Protocol):
    """Keeps every body under its SHA-256."""

    def store(self, payload: Payload, *, etag: str | None, last_modified: str | None) -> None:
        """Keep one body of any status, with the validators its response gave; known bodies are kept once."""
        ...

    def validators(self, source: str, url: str) -> Validators | None:
        """Answer the marks of the last 200 that a source had of a URL (secrets struck out), or None."""
        ...

    def body(self, sha256: str) -> bytes:
        """Answer one body.

        Raises:
            LookupError: It is not, or no longer, in the store; the client then asks for it anew.
        """
        ...
