"""Ask one upstream on behalf of one source: politely, within a deadline, and keeping every body."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr

from omc_infra.clock import Clock, utc_now
from omc_infra.errors import OmcError, RateLimitedError
from omc_infra.http.asking import NOT_MODIFIED, Asker, Scrub
from omc_infra.http.auth import Auth, OAuth2ClientCredentials
from omc_infra.http.credentials import Credentials, keys_in_clear
from omc_infra.http.limits import Limits, process_limits
from omc_infra.http.policy import HostPolicy
from omc_infra.http.raw_store import RawStore, Validators
from omc_infra.http.redaction import Redactor
from omc_infra.http.request import Request, body_of, target_of
from omc_infra.http.retry import retrying
from omc_infra.payload import Payload, request_identity
from omc_infra.settings import Settings

NO_KEYS: Mapping[str, SecretStr] = MappingProxyType({})
DECLARED_HOSTS: Mapping[str, tuple[str, ...]] = MappingProxyType({})


class HttpClient:
    """One source's conversation with its upstream; made by ``open_http``."""

    def __init__(self, policy: HostPolicy, settings: Settings, live_urls: Mapping[str, tuple[str, ...]], asker: Asker) -> None:
        self._policy, self._settings, self._live_urls, self._asker = policy, settings, live_urls, asker
        self._raised: list[OmcError] = []

    @property
    def redactor(self) -> Redactor:
        """What cuts the run's secrets out of texts, rows and failures, those obtained during the run included."""
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
        context: Mapping[str, str] | None = None,
    ) -> Payload:
        """Read one resource.

        Args:
            path: From the base URL on, with its first slash.
            host: Name of one of the policy's ``others``; empty for the policy itself.
            params: Query, in the given order; no key, which the policy's ``auth`` adds.
            headers: Beside the policy's.
            deadline_s: Budget of everything: all hosts, attempts and waits, from the connection to the last byte of the body.
            conditional: Send the validators of the last parsed 200, so that an unchanged body is not sent again.
            context: Handed on to the payload; a part of the request's identity.

        Returns:
            The body of a 2xx, or after a 304 the stored one with ``not_modified``.

        Raises:
            RetryableError: Still failing after all attempts, or the deadline is near; ``retry_after_s`` where a wait is asked for.
            PermanentError: Refused; asked exactly once.
        """
        return self._told(self._request("GET", path, host, params, headers, deadline_s, None, context), conditional=conditional)

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
    ) -> Payload:
        """Send a body and read the answer; the other arguments, answer and failures as in ``get``.

        Args:
            path: From the base URL on.
            content: Exact bytes; or
            json: A document, sent as JSON; or
            form: Fields, sent URL-encoded.
            host: As in ``get``.
            params: As in ``get``.
            headers: Beside the policy's.
            deadline_s: As in ``get``.
            repeatable: Whether asking twice does no harm (a query sent by POST); if not, it is sent once, to one host.
            conditional: As in ``get``, for the rare upstream that gives validators to a POST.
            context: As in ``get``.
        """
        body, typed = body_of(content, json, form)
        request = self._request("POST", path, host, params, {**typed, **(headers or {})}, deadline_s, body, context)
        return self._told(replace(request, repeatable=repeatable), conditional=conditional)

    def report(self, error: OmcError) -> None:
        """Keep the ban that a parser found in a body (status 200 and a page that says *too fast*), unless the client raised it itself.

        A failure that leaves the block of ``open_http`` is reported by itself.
        """
        if isinstance(error, RateLimitedError) and error.retry_after_s and not any(error is known for known in self._raised):
            self._raised.append(error)
            self._asker.ban(self._policy.pace.group, error.retry_after_s, str(error))

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

    def _told(self, request: Request, *, conditional: bool) -> Payload:
        raw = self._asker.raw
        known = raw.validators(self._asker.source, request.identity) if conditional and raw else None
        answered = self._insist(request.conditioned(known))
        if answered.status != NOT_MODIFIED:
            return answered
        try:
            return self._stored(answered, known)
        except LookupError:  # the store has let the body go: ask for it whole
            return self._insist(request)

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


@contextmanager
def open_http(
    source: str,
    policy: HostPolicy,
    settings: Settings,
    *,
    keys: Mapping[str, SecretStr] = NO_KEYS,
    raw: RawStore | None = None,
    limits: Limits | None = None,
    clock: Clock = utc_now,
    scrub: Scrub | None = None,
    run_id: str | None = None,
    live_urls: Mapping[str, tuple[str, ...]] = DECLARED_HOSTS,
) -> Iterator[HttpClient]:
    """Open a source's client; its connections close with the block.

    Secrets are cut out of any failure that leaves the block, and of what it was raised from.

    Args:
        source: Name that payloads, logs and failures carry.
        policy: Whom to ask and how.
        settings: Profile, running sandbox and contact.
        keys: Keys by the names that the policy's ``auth`` declares.
        raw: Where bodies go; None keeps none and asks nothing conditionally.
        limits: Where turns are taken; None counts in this process alone.
        clock: Stamps ``Payload.fetched_at``.
        scrub: Applied to each body before it is hashed, stored and parsed.
        run_id: Kept with each fetch.
        live_urls: Hosts that a user has set instead of the declared ones, by name of the policy (empty for itself); live only.

    Raises:
        NotConfiguredError: A key is missing, or the upstream demands a contact and none is set.
    """
    from omc_infra.http.wire import Wire  # httpx2 takes 0.1 s to import

    policies = {"": policy, **policy.others}
    secrets = [secret.get_secret_value() for secret in (*keys.values(), *settings.keys.values())]
    redactor = Redactor(secrets, [name for each in policies.values() for name in each.secret_parameters])
    in_clear = {name: keys_in_clear(source, each.auth, keys) for name, each in policies.items()}
    wire = Wire(policy.user_agent(settings, version("omc")), loopback=settings.profile == "sandbox")
    asker = Asker(source, wire, limits or process_limits(), redactor, clock, raw, scrub, run_id)
    client = HttpClient(policy, settings, live_urls, asker)
    asker.credentials = _credentials(policies, in_clear, settings, live_urls, asker)
    try:
        yield client
    except Exception as error:
        if isinstance(error, OmcError):
            client.report(error)
        cleaned = redactor.failure(error)
        if cleaned is error:
            raise
        raise cleaned from cleaned.__cause__
    finally:
        wire.close()


def _credentials(
    policies: Mapping[str, HostPolicy],
    in_clear: Mapping[str, Mapping[str, str]],
    settings: Settings,
    live_urls: Mapping[str, tuple[str, ...]],
    asker: Asker,
) -> dict[str, Credentials]:
    """Make the authentication of each policy; those that declare the same share a token and a nonce."""
    made: list[tuple[Auth, Credentials]] = []
    credentials: dict[str, Credentials] = {}
    for name, policy in policies.items():
        auth = policy.auth
        known = next((each for of, each in made if of == auth), None)
        if known is None:
            issuer = auth.host if isinstance(auth, OAuth2ClientCredentials) else name
            hosts = policies[issuer].hosts(settings, live_urls.get(issuer, ()))
            known = Credentials(auth, in_clear[name], asker.redactor, asker.clock, asker.token_asker(policies[issuer], hosts))
            made.append((auth, known))
        credentials[name] = known
    return credentials
