"""Make one attempt of a request: try the hosts in order, with rate limits and authentication, and store every body."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import structlog

from omc_infra.clock import Clock
from omc_infra.errors import OmcError, PayloadChangedError, RateLimitedError, RetryableError, UpstreamUnavailableError
from omc_infra.http.auth import OAuth2ClientCredentials
from omc_infra.http.credentials import AskToken, Credentials
from omc_infra.http.failures import excerpt, failure, retry_after_s
from omc_infra.http.limits import Limits, RateLimit, await_turn
from omc_infra.http.policy import Host, HostPolicy
from omc_infra.http.raw_store import RawStore
from omc_infra.http.redaction import Redactor
from omc_infra.http.request import Request
from omc_infra.payload import Payload

if TYPE_CHECKING:
    from omc_infra.http.wire import Answer, Wire

_log = structlog.get_logger()

NOT_MODIFIED = 304
_UNAUTHORIZED = 401
_TOO_MANY_REQUESTS = 429
_REDIRECTS = {301, 302, 303, 307, 308}
_SUCCESS = range(200, 300)
_MAX_REDIRECTS = 3
_LONGEST_HEADER = 200

Scrub = Callable[[bytes], bytes]
"""Return any body without what may not be kept (names of authors, tokens in links), or raise ``ValueError`` where it can't be read."""


@dataclass
class Asker:
    """Everything that an attempt needs besides the request.

    Attributes:
        source: Name that payloads and messages carry.
        wire: Connections.
        limits: Rate limits and bans.
        redactor: Removes secrets from everything that leaves this class.
        clock: Stamps payloads.
        raw: Store for bodies, or None.
        scrub: Applied to each body before it is hashed, stored and parsed.
        run_id: The run that asks, or None.
        credentials: Authentication of each policy by its name.
    """

    source: str
    wire: Wire
    limits: Limits
    redactor: Redactor
    clock: Clock
    raw: RawStore | None
    scrub: Scrub | None
    run_id: str | None
    credentials: Mapping[str, Credentials] = field(default_factory=dict)
    _up: dict[str, int] = field(default_factory=dict)

    def attempt(self, request: Request) -> Payload:
        """Send the request to the hosts in order, starting with the one that answered last, until one is up.

        Each host gets an equal share of what is left before the deadline. A request that may not be repeated is sent to one host.

        Raises:
            OmcError: A host's refusal, or the failure of the last host.
        """
        first = self._up.get(request.name, 0)
        order = [(first + place) % len(request.hosts) for place in range(len(request.hosts) if request.repeatable else 1)]
        for place, number in enumerate(order):
            now = time.monotonic()
            deadline = now + (request.deadline - now) / (len(order) - place)
            try:
                payload = self._asked(request, request.hosts[number], deadline, is_last=place == len(order) - 1)
            except OmcError as error:
                if not isinstance(error, UpstreamUnavailableError) and not request.policy.are_apart:
                    raise
                if place == len(order) - 1:
                    raise
                _log.warning("http.failover", failure=str(error), next=request.hosts[order[place + 1]].shown)
            else:
                self._up[request.name] = number
                return payload
        raise TypeError("a request without a host")

    def _asked(self, request: Request, host: Host, deadline: float, *, is_last: bool) -> Payload:
        answer = self._followed(request, host, deadline)
        kept = self._kept(request, host, answer)
        payload = self._payload(request, host, answer, kept or b"")
        if answer.status == NOT_MODIFIED and request.is_conditional:
            return payload
        if self.raw and kept is not None:
            self.raw.store(payload, etag=self._mark(answer, "etag"), last_modified=self._mark(answer, "last-modified"))
        refused = self._refusal(request, host, answer, payload)
        if refused is None:
            return payload
        self._keep_ban(request, refused, is_last=is_last)
        raise refused

    def _refusal(self, request: Request, host: Host, answer: Answer, payload: Payload) -> OmcError | None:
        message = self._message(request, host, _description(answer), payload.body)
        ban_s = request.policy.ban_of(answer.status, answer.body) if request.policy.ban_of else None
        if ban_s is not None:
            return RateLimitedError(message, retry_after_s=ban_s)
        details = request.policy.error_of(answer.status, payload.body) if request.policy.error_of else None
        if isinstance(details, RetryableError):
            return type(details)(f"{message} ({details})", retry_after_s=details.retry_after_s)
        if details is not None:
            return type(details)(f"{message} ({details})")
        return failure(answer.status, message, retry_after_s(answer.headers.get("retry-after"), payload.fetched_at))

    def _keep_ban(self, request: Request, refused: OmcError, *, is_last: bool) -> None:
        """Share a ban with all processes: a wait that the upstream asks of the whole group, or a long wait of its last host."""
        wait_s = refused.retry_after_s if isinstance(refused, RetryableError) else None
        if not wait_s:
            return
        if request.policy.are_apart and not is_last:
            return
        if isinstance(refused, RateLimitedError) or (is_last and wait_s > request.deadline - time.monotonic()):
            self.ban(request.policy.rate_limit.group, wait_s, str(refused))

    def ban(self, group: str, seconds: float, reason: str) -> None:
        """Store a ban of a host group, and log it."""
        _log.warning("http.ban", group=group, seconds=round(seconds, 1), reason=self.redactor.text(reason))
        self.limits.ban(group, seconds, self.redactor.text(reason))

    def _followed(self, request: Request, host: Host, deadline: float) -> Answer:
        """Send the request. Follow redirects of a GET on the same scheme, host and port; return any other redirect as the answer."""
        url = f"{host.base_url}{request.target}"
        for _ in range(_MAX_REDIRECTS):
            answer = self._authorized(request, host, url, deadline)
            target = urljoin(url, answer.headers.get("location", ""))
            if answer.status not in _REDIRECTS or request.method != "GET" or urlsplit(target)[:2] != urlsplit(url)[:2]:
                return answer
            url = target
        return self._authorized(request, host, url, deadline)

    def _authorized(self, request: Request, host: Host, url: str, deadline: float) -> Answer:
        """Send the request with authentication; renew a refused token once."""
        answer = self._answer(request, host, url, deadline)
        if answer.status == _UNAUTHORIZED and self.credentials[request.name].forget_token():
            return self._answer(request, host, url, deadline)
        return answer

    def _answer(self, request: Request, host: Host, url: str, deadline: float) -> Answer:
        try:
            proven = self.credentials[request.name].applied(url, request.content, deadline, host.base_url, request.sign)
            headers = {**request.headers, **proven.headers}
            return self._sent(request.policy, request.policy.rate_limit, request.method, proven.url, headers, proven.content, deadline)
        except RetryableError as error:
            raise type(error)(self._message(request, host, str(error)), retry_after_s=error.retry_after_s) from error.__cause__
        except OmcError as error:
            raise type(error)(self._message(request, host, str(error))) from error.__cause__

    def token_asker(self, policy: HostPolicy, hosts: Callable[[], tuple[Host, ...]]) -> AskToken:
        """Return a function that sends a token request, with rate limit and deadline, but without storing or logging it."""

        def ask(auth: OAuth2ClientCredentials, content: bytes, headers: Mapping[str, str], deadline: float) -> Answer:
            url = f"{hosts()[0].base_url}{auth.token_path}"
            answer = self._sent(policy, policy.rate_limit, "POST", url, {**policy.headers, **headers}, content, deadline)
            wait_s = retry_after_s(answer.headers.get("retry-after"), self.clock())
            if answer.status == _TOO_MANY_REQUESTS and wait_s:
                self.ban(policy.rate_limit.group, wait_s, "its token endpoint asks for that wait")
            return answer

        return ask

    def _sent(
        self,
        policy: HostPolicy,
        rate_limit: RateLimit,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        deadline: float,
    ) -> Answer:
        await_turn(self.limits, rate_limit, deadline)
        timeout_s, max_bytes = policy.timeout_s, policy.max_body_bytes
        return self.wire.ask(method, url, headers=headers, content=content, timeout_s=timeout_s, deadline=deadline, max_bytes=max_bytes)

    def _payload(self, request: Request, host: Host, answer: Answer, body: bytes) -> Payload:
        return Payload(
            source=self.source,
            body=body,
            fetched_at=self.clock(),
            url=self.redactor.text(f"{host.shown}{request.target}"),
            status=answer.status,
            media_type=self.redactor.text(answer.media_type),
            context={**request.context, **self._kept_headers(request, answer), **self._noted(request, answer.status, body)},
            method=request.method,
            request_sha256=request.identity,
            run_id=self.run_id,
        )

    def _noted(self, request: Request, status: int, body: bytes) -> Mapping[str, str]:
        return request.note(body) if request.note and status in _SUCCESS else {}

    def _kept_headers(self, request: Request, answer: Answer) -> dict[str, str]:
        """Return the headers that the parser needs; they are part of the payload, not of the request's identity."""
        details = {name: answer.headers.get(name) for name in request.policy.kept_headers}
        return {f"header.{name}": self.redactor.text(value)[:_LONGEST_HEADER] for name, value in details.items() if value is not None}

    def _kept(self, request: Request, host: Host, answer: Answer) -> bytes | None:
        """Return a body without secrets and scrubbed, or None for an error page that can't be scrubbed and is therefore not stored."""
        body = self.redactor.body(answer.body)
        try:
            return self.scrub(body) if self.scrub and body else body
        except ValueError:
            if answer.status < 300:
                details = self._message(request, host, "answered a body that can't be scrubbed, so it is not kept")
                raise PayloadChangedError(details) from None
            return None

    def _mark(self, answer: Answer, name: str) -> str | None:
        """Return a validator, or nothing if it contains a secret."""
        mark = answer.headers.get(name)
        return mark if mark and self.redactor.text(mark) == mark else None

    def _message(self, request: Request, host: Host, what: str, body: bytes = b"") -> str:
        said = excerpt(body)
        details = f"{self.source}: {request.method} {host.shown}{request.target} {what}{': ' + said if said else ''}"
        return self.redactor.text(details)


def _description(answer: Answer) -> str:
    if answer.status not in _REDIRECTS:
        return f"answered {answer.status}"
    target = urlsplit(answer.headers.get("location", ""))
    return f"answered {answer.status}, a redirect to {target.hostname or target.path} that is not followed; is the base URL still right?"
