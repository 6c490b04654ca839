"""Rules for requests to one upstream: hosts by profile, rate, time-outs, sizes, and our User-Agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from omc_infra.errors import ConfigurationError, NotConfiguredError, OmcError
from omc_infra.http.auth import Auth, NoAuth
from omc_infra.http.limits import Quota, RateLimit
from omc_infra.settings import Settings

MIB = 1024 * 1024


@dataclass(frozen=True)
class Host:
    """One host that may answer a request.

    Attributes:
        base_url: Where it is.
        shown: The same as rows, logs and messages show it: not with the sandbox's port, which changes.
    """

    base_url: str
    shown: str


@dataclass(frozen=True)
class HostPolicy:
    """Hosts, limits and authentication of an upstream.

    Attributes:
        live_urls: Base URLs of the real API in the order in which they are tried, without a slash at their end. All of them serve the same
            resources: the identity of a request is that of the first.
        sandbox_path: Path of its stand-in on the sandbox, ``/sec_edgar``.
        requests_per_s: Highest rate of the group.
        burst: Requests that may be sent at once before the rate applies.
        group: Name under which rate, quota and bans are counted, over all processes; policies that an upstream counts together share one.
            Empty: the host of the first live URL.
        quota: What the upstream allows in a longer window, beside the rate.
        auth: How a request proves who asks.
        headers: Sent with every request.
        attempts: Tries of one request, the first included; a try asks the hosts in order until one is up.
        backoff_s: Scale of the first wait between tries; it doubles, with jitter, up to ``backoff_max_s``.
        backoff_max_s: Longest wait of our own; a ``Retry-After`` may be longer.
        timeout_s: Longest silence while connecting, sending or reading.
        max_body_bytes: Largest body accepted, counted after decompression.
        secret_parameters: Query parameters that hold a secret, beyond the usual names.
        needs_contact: The upstream turns away who gives no contact in the User-Agent; live, the client then demands one.
        ban_of: Returns the seconds for which an answer (status and body) bans us, or None; for upstreams that ban with another status than
            429.
        error_of: Returns the failure that an answer is though its status says something else, or None: errors within a 200, or a status
            that an upstream uses for something of its own.
        are_apart: The hosts are different providers, each with rules and limits of its own: whatever one fails with, the next is asked, and
            only a rate limit of the last is a wait for all.
        kept_headers: Headers of the answer that go into the payload's context as ``header.<name>``, lower case, where they are there; for
            what a parser must know of them, such as what an answer cost.
        others: Further bases of the same API by name, asked with ``get(path, host=name)``.
    """

    live_urls: tuple[str, ...]
    sandbox_path: str
    requests_per_s: float
    burst: int = 1
    group: str = ""
    quota: Quota | None = None
    auth: Auth = field(default_factory=NoAuth)
    headers: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 4
    backoff_s: float = 0.5
    backoff_max_s: float = 20.0
    timeout_s: float = 15.0
    max_body_bytes: int = 32 * MIB
    secret_parameters: tuple[str, ...] = ()
    needs_contact: bool = False
    ban_of: Callable[[int, bytes], float | None] | None = None
    error_of: Callable[[int, bytes], OmcError | None] | None = None
    are_apart: bool = False
    kept_headers: tuple[str, ...] = ()
    others: Mapping[str, HostPolicy] = field(default_factory=dict)

    @property
    def rate_limit(self) -> RateLimit:
        """Rate limit of the group."""
        return RateLimit(
            self.group or urlsplit(self.live_urls[0]).hostname or self.live_urls[0], self.requests_per_s, self.burst, self.quota
        )

    def hosts(self, settings: Settings, live_urls: tuple[str, ...] = ()) -> tuple[Host, ...]:
        """Return the hosts of the settings' profile in the order in which they are tried.

        Args:
            settings: Profile, and the running sandbox.
            live_urls: Asked in the live profile instead of the declared ones.

        Raises:
            ConfigurationError: The profile is the sandbox, and no sandbox runs.
        """
        if settings.profile == "live":
            return tuple(Host(url.rstrip("/"), url.rstrip("/")) for url in live_urls or self.live_urls)
        if settings.sandbox_url is None:
            raise ConfigurationError("no sandbox is running: start one with `omc sandbox serve`, or set OMC_SANDBOX_URL")
        return (Host(f"{settings.sandbox_url.rstrip('/')}{self.sandbox_path}", f"sandbox:{self.sandbox_path}"),)

    def identity_base(self, settings: Settings) -> str:
        """Return the base of a request's identity: the same whichever host answers, and whichever hosts a user has set."""
        return self.live_urls[0] if settings.profile == "live" else f"sandbox:{self.sandbox_path}"

    def named(self, host: str) -> HostPolicy:
        """Return the policy of one of the ``others``, or this one for the empty name."""
        return self if not host else self.others[host]

    def user_agent(self, settings: Settings, version: str) -> str:
        """Compose ``omc/<version> (+contact)``.

        Raises:
            NotConfiguredError: Live, and a contact that this upstream demands is not set.
        """
        is_address = "@" in settings.contact or "://" in settings.contact
        if is_address:
            return f"omc/{version} (+{settings.contact})"
        if settings.profile == "sandbox":
            return f"omc/{version} (+nobody@sandbox.invalid)"
        if self.needs_contact:
            raise NotConfiguredError(f"{self.live_urls[0]} demands a contact in the User-Agent: set OMC_CONTACT to your email address")
        return f"omc/{version} (no contact set)"
