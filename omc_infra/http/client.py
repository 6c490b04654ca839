"""Send requests of one source to its upstream, with rate limits and a deadline, and store every body."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from omc_infra.errors import OmcError, RateLimitedError
from omc_infra.http.asking import NOT_MODIFIED, Asker
from omc_infra.http.auth import SignRequest
from omc_infra.http.policy import HostPolicy
from omc_infra.http.raw_store import Validators
from omc_infra.http.redaction import Redactor
from omc_infra.http.request import Note, Request, body_of, target_of
from omc_infra.http.retry import retrying
from omc_infra.payload import Payload, request_identity
from omc_infra.settings import Settings


class HttpClient:
    """HTTP client of one source; created by ``open_http``."""

    def __init__(self, policy: HostPolicy, settings: Settings, live_urls: Mapping[str, tuple[str, ...]], asker: Asker) -> None:
        self._policy, self._settings, self._live_urls, self._asker = policy, settings, live_urls, asker
        self._raised: list[OmcError] = []

    @property
    def redactor(self) -> Redactor:
        """Removes the run's secrets from texts, rows and errors, including secrets obtained during the run."""
        return self._asker.redactor

    def get(
        self,
        path: str,
        *,
        host: str = "",
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline_s: float = 60.0,
        conditional: bool = True,
        max_age_s: float = 0.0,
        context: Mapping[str, str] | None = None,
        sign: SignRequest | None = None,
        note: Note | None = None,
    ) -> Payload:
        """Read one resource.

        Args:
            path: Path after the base URL, starting with a slash.
            host: Name of one of the policy's ``others``; empty for the policy itself.
            params: Query, in the given order; no key, which the policy's ``auth`` adds.
            headers: In addition to the policy's.
            deadline_s: Time limit for everything: all hosts, attempts and waits, up to the last byte of the body.
            conditional: Send the validators of the last parsed 200, so that the upstream need not send an unchanged body again.
            max_age_s: Use the stored answer to the same request if it is not older; for data that changes daily and is needed often.
            context: Passed on to the payload; a part of the request's identity.
            sign: How to sign it, where the policy's ``auth`` is ``SignedRequest``; None sends it unsigned.
            note: Returns further context of the payload, given the body; not a part of the request's identity.

        Returns:
            The body of a 2xx, or after a 304, or within ``max_age_s``, the stored one with ``not_modified``.

        Raises:
            RetryableError: Still failing after all attempts, or the deadline is near; ``retry_after_s`` where a wait is asked for.
            PermanentError: Refused; the request was sent exactly once.
        """
        asked = self._request("GET", path, host, params, headers, deadline_s, None, context)
        known = self._young(asked, max_age_s) if max_age_s else None
        return known or self._description(replace(asked, sign=sign, note=note), conditional=conditional)

    def post(
        self,
        path: str,
        *,
        content: bytes | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        host: str = "",
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline_s: float = 60.0,
        repeatable: bool = False,
        conditional: bool = False,
        context: Mapping[str, str] | None = None,
        sign: SignRequest | None = None,
        note: Note | None = None,
    ) -> Payload:
        """Send a body and read the answer; the other arguments, answer and failures as in ``get``.

        Args:
            path: From the base URL on.
            content: Exact bytes; or
            json: A document, sent as JSON; or
            form: Fields, sent URL-encoded.
            host: As in ``get``.
            params: As in ``get``.
            headers: In addition to the policy's.
            deadline_s: As in ``get``.
            repeatable: Whether asking twice does no harm (a query sent by POST); if not, it is sent once, to one host.
            conditional: As in ``get``, for the rare upstream that gives validators to a POST.
            context: As in ``get``.
            sign: As in ``get``.
            note: As in ``get``.
        """
        body, typed = body_of(content, json, form)
        request = self._request("POST", path, host, params, {**typed, **(headers or {})}, deadline_s, body, context)
        return self._description(replace(request, repeatable=repeatable, sign=sign, note=note), conditional=conditional)

    def report(self, error: OmcError) -> None:
        """Store a ban that a parser found in a body (status 200 and a page that says *too fast*), unless the client raised it itself.

        A failure that leaves the block of ``open_http`` is reported by itself.
        """
        is_ours = any(known is error or known is error.__cause__ for known in self._raised)
        if isinstance(error, RateLimitedError) and error.retry_after_s and not is_ours:
            self._raised.append(error)
            self._asker.ban(self._policy.rate_limit.group, error.retry_after_s, str(error))

    def _request(
        self,
        method: str,
        path: str,
        name: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        deadline_s: float,
        content: bytes | None,
        context: Mapping[str, str] | None,
    ) -> Request:
        policy, target = self._policy.named(name), target_of(path, params)
        declared = {**policy.headers, **(headers or {})}
        known = self.redactor.known
        identity = request_identity(
            method,
            known(f"{policy.identity_base(self._settings)}{target}"),
            self.redactor.body(content or b""),
            {header: known(value) for header, value in declared.items()},
            context,
        )
        hosts, deadline = policy.hosts(self._settings, self._live_urls.get(name, ())), time.monotonic() + deadline_s
        return Request(method, target, name, policy, hosts, deadline, identity, declared, content, context or {})

    def _description(self, request: Request, *, conditional: bool) -> Payload:
        raw = self._asker.raw
        known = raw.validators(self._asker.source, request.identity) if conditional and raw else None
        answered = self._insist(request.conditioned(known))
        if answered.status != NOT_MODIFIED:
            return answered
        try:
            return self._stored(answered, known)
        except LookupError:  # the store has let the body go: ask for it whole
            return self._insist(request)

    def _young(self, request: Request, max_age_s: float) -> Payload | None:
        """Return a stored answer without error that is at most so many seconds old, or None."""
        raw, now = self._asker.raw, self._asker.clock()
        known = raw.newest(self._asker.source, request.identity, now - timedelta(seconds=max_age_s)) if raw else None
        if raw is None or known is None:
            return None
        try:
            body = raw.body(known[0])
        except LookupError:  # the store has let it go
            return None
        error_of = request.policy.error_of
        if error_of and error_of(200, body) is not None:
            return None
        shown = self.redactor.text(f"{request.hosts[0].shown}{request.target}")
        of_request: dict[str, Any] = {"method": request.method, "request_sha256": request.identity, "context": request.context}
        return Payload(self._asker.source, body, known[1], shown, not_modified=True, **of_request)

    def _insist(self, request: Request) -> Payload:
        left_s = request.deadline - time.monotonic()
        try:
            payload: Payload = retrying(request.policy, left_s, repeatable=request.repeatable)(self._asker.attempt, request)
        except OmcError as error:
            self._raised.append(error)
            raise
        return payload

    def _stored(self, answered: Payload, known: Validators | None) -> Payload:
        raw = self._asker.raw
        if known is None or raw is None:
            raise LookupError(answered.url)
        payload = replace(answered, body=raw.body(known.payload_sha256), status=200, not_modified=True)
        raw.store(payload, etag=None, last_modified=None)  # that nothing new came proves freshness
        return payload
