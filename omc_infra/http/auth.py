"""Kinds of authentication. A kind has the *names* of keys; ``open_http`` receives the keys themselves.

Not here: applying a kind to a request (``credentials.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class NoAuth:
    """Send no key."""

    @property
    def key_names(self) -> tuple[str, ...]:
        """Names of the keys that are needed."""
        return ()


@dataclass(frozen=True)
class HeaderKey:
    """Send a key in a header.

    Attributes:
        header: Name of the header, ``X-Api-Key``.
        key: Name of the key.
        prefix: Text before the key, with its space: ``"Bearer "``.
    """

    header: str
    key: str
    prefix: str = ""

    @property
    def key_names(self) -> tuple[str, ...]:
        """Names of the keys that are needed."""
        return (self.key,)


@dataclass(frozen=True)
class QueryKey:
    """Send a key as a query parameter; URLs that are stored, logged or raised never contain it.

    Attributes:
        parameter: Name of the parameter.
        key: Name of the key.
    """

    parameter: str
    key: str

    @property
    def key_names(self) -> tuple[str, ...]:
        """Names of the keys that are needed."""
        return (self.key,)


@dataclass(frozen=True)
class OAuth2ClientCredentials:
    """Fetch a token with a client's id and secret (RFC 6749, 4.4) and send it as ``Authorization: Bearer``.

    The client keeps the token for its lifetime and fetches a new one once after a 401. Neither the token request nor its answer is
    stored or logged.

    Attributes:
        token_path: Path of the token endpoint.
        client_id: Name of the key with the id.
        client_secret: Name of the key with the secret.
        host: Name of one of the policy's ``others`` that issues the tokens; empty for the policy itself.
        scope: Sent with the request where it isn't empty.
        credentials_in: ``header`` sends id and secret as HTTP Basic, ``body`` as fields of the form.
    """

    token_path: str
    client_id: str
    client_secret: str
    host: str = ""
    scope: str = ""
    credentials_in: Literal["header", "body"] = "header"

    @property
    def key_names(self) -> tuple[str, ...]:
        """Names of the keys that are needed."""
        return (self.client_id, self.client_secret)


Signed = tuple[bytes, Mapping[str, str]]
"""The exact bytes to send, and the headers that prove them."""

Sign = Callable[[bytes, Mapping[str, str], int], Signed]
"""Return the bytes to send and their headers, given the body, the keys in clear by name, and a nonce above all earlier ones."""


@dataclass(frozen=True)
class SignedBody:
    """Sign the body of each attempt with a new nonce, and send exactly the bytes that ``sign`` returns.

    The nonce is the current time in milliseconds, or the last nonce plus one if that is greater.

    Attributes:
        keys: Names of the keys that ``sign`` receives.
        sign: Pure function of body, keys and nonce.
    """

    keys: tuple[str, ...]
    sign: Sign

    @property
    def key_names(self) -> tuple[str, ...]:
        """Names of the keys that are needed."""
        return self.keys


@dataclass(frozen=True)
class SignedParts:
    """The signed form of a request.

    Attributes:
        target: Path and query from the base URL on, the signature included where it is a part of the query.
        content: Exact bytes of the body, or None.
        headers: Headers for authentication.
    """

    target: str
    content: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


SignRequest = Callable[[Mapping[str, str], int], SignedParts]
"""Return what to send for one request, given the keys in clear by name, and a nonce above all earlier ones."""


@dataclass(frozen=True)
class SignedRequest:
    """Sign whole requests with a function that the caller passes for each request; without one, the request is sent unsigned.

    Each attempt is signed again, with a nonce as in ``SignedBody``. URLs that are stored, logged or raised contain no signature.

    Attributes:
        keys: Names of the keys that the caller's ``SignRequest`` receives.
    """

    keys: tuple[str, ...]

    @property
    def key_names(self) -> tuple[str, ...]:
        """Names of the keys that are needed."""
        return self.keys


Auth = NoAuth | HeaderKey | QueryKey | OAuth2ClientCredentials | SignedBody | SignedRequest
