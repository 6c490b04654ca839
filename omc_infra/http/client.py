"""Asks one upstream on behalf of one source: politely, within a deadline, and keeping every body."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

from omc_infra.clock import Clock, utc_now
from omc_infra.errors import OmcError, RetryableError
from omc_infra.http.failures import excerpt, failure, retry_after_s
from omc_infra.http.limits import await_turn
from omc_infra.http.policy import HostPolicy
from omc_infra.http.raw_store import RawStore, Validators
from omc_infra.http.retry import retrying
from omc_infra.http.strike import striker
from omc_infra.payload import Payload
from omc_infra.settings import Settings

if TYPE_CHECKING:
    from omc_infra.http.wire import Answer, Wire

Content = bytes | Callable[[], tuple[bytes, Mapping[str, str]]]
"""Exact bytes of a body, or what makes them and their headers anew for each attempt: a signature with a fresh nonce."""

_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_REDIRECTS = 3
_NOT_MODIFIED = 304
_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class _Call:
    """One request with all it takes to make it again."""

    method: str
    url: str
    policy: HostPolicy
    base_url: str
    deadline: float
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Content | None = None
    context: Mapping[str, str] = field(default_factory=dict)

    def composed(self) -> tuple[bytes | None, dict[str, str]]:
        """Answer the body and the headers of the next attempt."""
        content, signed = self.content() if callable(self.content) else (self.content, _NOTHING)
        return content, {**self.policy.headers, **self.headers, **signed}


class HttpClient:
    """One source's conversation with its upstream; made by ``open_http``."""

    def __init__(self, source: str, policy: HostPolicy, settings: Settings, raw: RawStore | None, clock: Clock, wire: Wire) -> None:
        self._source, self._policy, self._settings, self._raw, self._clock, self._wire = source, policy, settings, raw, clock, wire
        keys = [secret.get_secret_value() for secret in settings.keys.values()]
        self._strike = striker(keys, [name for p in (policy, *policy.others.values()) for name in p.secret_parameters])

    def get(
        self,
        path: str,
        *,
        host: str = "",
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline_s: float = 60.0,
        conditional: bool = True,
        context: Mapping[str, str] | None = None,
    ) -> Payload:
        """Read one resource.

        Args:
            path: From the base URL on, with its first slash.
            host: Name of one of the policy's ``others``; empty for the policy itself.
            params: Query, in the given order.
            headers: Beside the policy's.
            deadline_s: Budget of all attempts, waits and the reading of the body.
            conditional: Send the validators of the last 200, so that an unchanged body is not sent again.
            context: Handed on to the payload.

        Returns:
            The body of a 2xx, or after a 304 the stored one with ``not_modified``.

        Raises:
            RetryableError: Still failing after all attempts, or the deadline is near; ``retry_after_s`` where one was asked for.
            PermanentError: Refused; asked exactly once.
        """
        call = self._call("GET", path, host, params, headers, deadline_s, None, context)
        known = self._raw.validators(self._source, self._shown(call.url)) if conditional and self._raw else None
        answered = self._insist(_conditioned(call, known), repeatable=True)
        if answered.status != _NOT_MODIFIED:
            return answered
        try:
            return self._stored(answered, known)
        except LookupError:  # the store has let the body go: ask for it whole
            return self._insist(call, repeatable=True)

    def post(
        self,
        path: str,
        *,
        content: Content,
        host: str = "",
        headers: Mapping[str, str] | None = None,
        deadline_s: float = 60.0,
        repeatable: bool = False,
        context: Mapping[str, str] | None = None,
    ) -> Payload:
        """Send exact bytes and read the answer; arguments, answer and failures as in ``get``.

        Args:
            path: From the base URL on.
            content: The bytes, or what makes bytes and headers for each attempt.
            host: As in ``get``.
            headers: Beside the policy's.
            deadline_s: As in ``get``.
            repeatable: Whether asking twice does no harm (a query sent by POST); if not, it is asked once.
            context: Handed on to the payload.
        """
        return self._insist(self._call("POST", path, host, None, headers, deadline_s, content, context), repeatable=repeatable)

    def _call(
        self,
        method: str,
        path: str,
        host: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        deadline_s: float,
        content: Content | None,
        context: Mapping[str, str] | None,
    ) -> _Call:
        policy = self._policy.named(host)
        base_url = policy.base_url(self._settings)
        url = f"{base_url}{path}{'?' + urlencode(params) if params else ''}"
        return _Call(method, url, policy, base_url, time.monotonic() + deadline_s, headers or {}, content, context or {})

    def _insist(self, call: _Call, *, repeatable: bool) -> Payload:
        remaining_s = call.deadline - time.monotonic()
        payload: Payload = retrying(call.policy, remaining_s, repeatable=repeatable)(self._attempt, call)
        return payload

    def _attempt(self, call: _Call) -> Payload:
        answer = self._followed(call)
        payload = self._payload(call, answer)
        if answer.status == _NOT_MODIFIED and _is_conditional(call):
            return payload
        if self._raw:
            self._raw.store(payload, etag=answer.headers.get("etag"), last_modified=answer.headers.get("last-modified"))
        wait_s = retry_after_s(answer.headers.get("retry-after"), payload.fetched_at)
        refused = failure(answer.status, self._message(call, _told(answer), answer.body), wait_s)
        if refused:
            raise refused
        return payload

    def _followed(self, call: _Call) -> Answer:
        """Ask, and follow redirects of a GET that stay on scheme, host and port; any other is the answer."""
        url = call.url
        for _ in range(_MAX_REDIRECTS):
            answer = self._answer(call, url)
            target = urljoin(url, answer.headers.get("location", ""))
            if answer.status not in _REDIRECTS or call.method != "GET" or urlsplit(target)[:2] != urlsplit(url)[:2]:
                return answer
            url = target
        return self._answer(call, url)

    def _answer(self, call: _Call, url: str) -> Answer:
        policy = call.policy
        try:
            await_turn(call.base_url, policy.requests_per_s, policy.burst, call.deadline)
            content, headers = call.composed()
            return self._wire.ask(
                call.method,
                url,
                headers=headers,
                content=content,
                timeout_s=policy.timeout_s,
                deadline=call.deadline,
                max_bytes=policy.max_body_bytes,
            )
        except RetryableError as error:
            raise type(error)(self._message(call, str(error)), retry_after_s=error.retry_after_s) from error.__cause__
        except OmcError as error:
            raise type(error)(self._message(call, str(error))) from error.__cause__

    def _payload(self, call: _Call, answer: Answer) -> Payload:
        return Payload(
            source=self._source,
            body=answer.body,
            fetched_at=self._clock(),
            url=self._shown(call.url),
            status=answer.status,
            media_type=answer.media_type,
            context=call.context,
        )

    def _stored(self, answered: Payload, known: Validators | None) -> Payload:
        if known is None or self._raw is None:
            raise LookupError(answered.url)
        body = self._raw.body(known.payload_sha256)
        return Payload(self._source, body, answered.fetched_at, answered.url, 200, answered.media_type, answered.context, not_modified=True)

    def _shown(self, url: str) -> str:
        """Answer a URL fit for logs and rows: keys struck out, and the same whichever port the sandbox got."""
        sandbox_url = self._settings.sandbox_url if self._settings.profile == "sandbox" else None
        return self._strike(f"sandbox:{url.removeprefix(sandbox_url.rstrip('/'))}" if sandbox_url else url)

    def _message(self, call: _Call, what: str, body: bytes = b"") -> str:
        said = excerpt(body)
        return self._strike(f"{self._source}: {call.method} {self._shown(call.url)} {what}{': ' + said if said else ''}")


@contextmanager
def open_http(
    source: str, policy: HostPolicy, settings: Settings, raw: RawStore | None = None, clock: Clock = utc_now
) -> Iterator[HttpClient]:
    """Open a source's client; its connections close with the block.

    Args:
        source: Name that payloads, logs and failures carry.
        policy: Whom to ask and how.
        settings: Profile, running sandbox, contact and keys.
        raw: Where bodies go; None keeps none and asks nothing conditionally.
        clock: Stamps ``Payload.fetched_at``.

    Raises:
        NotConfiguredError: The upstream demands a contact, and none is set.
    """
    from omc_infra.http.wire import Wire  # httpx2 takes 0.1 s to import

    wire = Wire(policy.user_agent(settings, version("omc")), loopback=settings.profile == "sandbox")
    try:
        yield HttpClient(source, policy, settings, raw, clock, wire)
    finally:
        wire.close()


def _conditioned(call: _Call, known: Validators | None) -> _Call:
    if known is None:
        return call
    marks = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    headers = {**{name: mark for name, mark in marks.items() if mark}, **call.headers}
    return _Call(call.method, call.url, call.policy, call.base_url, call.deadline, headers, call.content, call.context)


def _told(answer: Answer) -> str:
    if answer.status not in _REDIRECTS:
        return f"answered {answer.status}"
    target = urlsplit(answer.headers.get("location", ""))
    return f"answered {answer.status}, a redirect to {target.hostname or target.path} that is not followed; is the base URL still right?"


def _is_conditional(call: _Call) -> bool:
    return bool({"If-None-Match", "If-Modified-Since"} & set(call.headers))
