"""One request, with everything needed to repeat it on any of its hosts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from omc_infra.http.auth import SignRequest
from omc_infra.http.policy import Host, HostPolicy
from omc_infra.http.raw_store import Validators

_VALIDATORS = ("If-None-Match", "If-Modified-Since")

Note = Callable[[bytes], Mapping[str, str]]
"""Return what the parser must know beside a body; part of the payload's context, not of the request's identity."""


@dataclass(frozen=True)
class Request:
    """A request before a host is chosen and keys are added.

    Attributes:
        method: HTTP method.
        target: Path and query from the base URL on.
        name: Name of the policy among the ``others``; empty for the policy itself.
        policy: Hosts and rules of the upstream.
        hosts: Who may answer, in order.
        deadline: Latest end of everything, of ``time.monotonic``.
        identity: Of ``request_identity``.
        headers: Declared headers, those of the policy included.
        content: Body before it is signed, or None.
        context: Handed on to the payload.
        repeatable: Whether asking twice does no harm.
        sign: How it is signed, where its policy leaves that to the caller.
        note: Returns what its payload's context holds beside ``context``, given the body of an answer.
    """

    method: str
    target: str
    name: str
    policy: HostPolicy
    hosts: tuple[Host, ...]
    deadline: float
    identity: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    sign: SignRequest | None = field(default=None, repr=False)
    note: Note | None = None

    @property
    def is_conditional(self) -> bool:
        """Whether a 304 is an answer to it."""
        return any(name in self.headers for name in _VALIDATORS)

    def conditioned(self, known: Validators | None) -> Request:
        """Return the request with the validators of what is known; a header that the caller gave stays."""
        if known is None:
            return self
        values = dict(zip(_VALIDATORS, (known.etag, known.last_modified), strict=True))
        return replace(self, headers={**{name: value for name, value in values.items() if value}, **self.headers})


def target_of(path: str, params: Mapping[str, str] | None) -> str:
    """Return path and query."""
    return f"{path}{'?' + urlencode(params) if params else ''}"


def body_of(content: bytes | None, document: Any, form: Mapping[str, str] | None) -> tuple[bytes, dict[str, str]]:
    """Return the bytes of a body and the header that names their type.

    Args:
        content: Exact bytes; their type is for the caller to declare.
        document: Sent as JSON.
        form: Sent as ``application/x-www-form-urlencoded``.

    Raises:
        TypeError: None of them is given, or more than one.
    """
    if sum(part is not None for part in (content, document, form)) != 1:
        raise TypeError("give exactly one of content, json and form")
    if content is not None:
        return content, {}
    if form is not None:
        return urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
    return json.dumps(document).encode(), {"Content-Type": "application/json"}
