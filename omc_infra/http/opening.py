"""Open a client: connect a policy, its keys and a profile with connections, limits and redaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from importlib.metadata import version
from types import MappingProxyType

from pydantic import SecretStr

from omc_infra.clock import Clock, utc_now
from omc_infra.errors import OmcError
from omc_infra.http.asking import Asker, Scrub
from omc_infra.http.auth import Auth, OAuth2ClientCredentials
from omc_infra.http.client import HttpClient
from omc_infra.http.credentials import Credentials, Nonces, keys_in_clear
from omc_infra.http.limits import Limits, process_limits
from omc_infra.http.policy import HostPolicy
from omc_infra.http.raw_store import RawStore
from omc_infra.http.redaction import Redactor
from omc_infra.settings import Settings

LiveUrls = Mapping[str, tuple[str, ...]]
"""Hosts by the name of a policy, empty for a source's own."""

_NO_KEYS: Mapping[str, SecretStr] = MappingProxyType({})
_DECLARED: LiveUrls = MappingProxyType({})


@contextmanager
def open_http(
    source: str,
    policy: HostPolicy,
    settings: Settings,
    *,
    keys: Mapping[str, SecretStr] = _NO_KEYS,
    raw: RawStore | None = None,
    limits: Limits | None = None,
    clock: Clock = utc_now,
    scrub: Scrub | None = None,
    run_id: str | None = None,
    live_urls: LiveUrls = _DECLARED,
    nonce: Nonces | None = None,
) -> Iterator[HttpClient]:
    """Open a source's client; its connections close with the block.

    Secrets are removed from every exception that leaves the block, and from its causes.

    Args:
        source: Name that payloads, logs and failures carry.
        policy: Hosts and rules of the upstream.
        settings: Profile, running sandbox and contact.
        keys: Keys by the names that the policy's ``auth`` declares.
        raw: Store for bodies; None: bodies are not stored, and no request is conditional.
        limits: Rate limits; None: count in this process only.
        clock: Stamps ``Payload.fetched_at``.
        scrub: Applied to each body before it is hashed, stored and parsed.
        run_id: Kept with each fetch.
        live_urls: Hosts that a user has set instead of the declared ones; live only.
        nonce: Returns the nonce of each signed request; None: the current time in milliseconds, greater than the client's last nonce.

    Raises:
        NotConfiguredError: A key is missing, or the upstream requires a contact and none is set.
    """
    from omc_infra.http.wire import Wire  # httpx2 takes 0.1 s to import

    user_agent = policy.user_agent(settings, version("omc"))
    with closing(Wire(user_agent, loopback=settings.profile == "sandbox")) as wire:
        redactor = _redactor(policy, settings, keys)
        asker = Asker(source, wire, limits or process_limits(), redactor, clock, raw, scrub, run_id)
        asker.credentials = _credentials(policy, settings, live_urls, keys, asker, nonce)
        client = HttpClient(policy, settings, live_urls, asker)
        try:
            yield client
        except Exception as error:
            cleaned = _cleaned(error, client)
            if cleaned is error:
                raise
            raise cleaned from cleaned.__cause__


def _cleaned(error: Exception, client: HttpClient) -> Exception:
    if isinstance(error, OmcError):
        client.report(error)
    return client.redactor.failure(error)


def _redactor(policy: HostPolicy, settings: Settings, keys: Mapping[str, SecretStr]) -> Redactor:
    """Create a redactor for all keys of this process, not only for those that are sent."""
    secrets = [secret.get_secret_value() for secret in (*keys.values(), *settings.keys.values())]
    return Redactor(secrets, [name for each in (policy, *policy.others.values()) for name in each.secret_parameters])


def _credentials(
    policy: HostPolicy, settings: Settings, live_urls: LiveUrls, keys: Mapping[str, SecretStr], asker: Asker, nonce: Nonces | None
) -> dict[str, Credentials]:
    """Make the authentication of each policy; those that declare the same share a token and a nonce."""
    policies = {"": policy, **policy.others}
    made: list[tuple[Auth, Credentials]] = []
    credentials: dict[str, Credentials] = {}
    for name, each in policies.items():
        known = next((of for auth, of in made if auth == each.auth), None)
        if known is None:
            issuer = each.auth.host if isinstance(each.auth, OAuth2ClientCredentials) else name
            hosts = partial(policies[issuer].hosts, settings, live_urls.get(issuer, ()))
            in_clear = keys_in_clear(asker.source, each.auth, keys)
            known = Credentials(each.auth, in_clear, asker.redactor, asker.clock, asker.token_asker(policies[issuer], hosts), nonce)
            made.append((each.auth, known))
        credentials[name] = known
    return credentials
