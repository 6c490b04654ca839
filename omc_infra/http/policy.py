"""How one upstream is asked: where it is in each profile, how often, how long, how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from omc_infra.errors import ConfigurationError, NotConfiguredError
from omc_infra.settings import Settings

MIB = 1024 * 1024


@dataclass(frozen=True)
class HostPolicy:
    """Where an upstream lives and how politely it is asked.

    Attributes:
        live_url: Base URL of the real API, without a slash at its end.
        sandbox_path: Path of its stand-in on the sandbox, ``/sec_edgar``.
        requests_per_s: Highest rate; shared by all clients of the process that ask the same base URL.
        burst: Requests that may leave at once before the rate holds.
        headers: Sent with every request.
        attempts: Tries of one request, the first included.
        backoff_s: Scale of the first wait between tries; it doubles, with jitter, up to ``backoff_max_s``.
        backoff_max_s: Longest wait of our own; a ``Retry-After`` may be longer.
        timeout_s: Longest silence while connecting, sending or reading.
        max_body_bytes: Largest body accepted, counted after decompression.
        secret_parameters: Query parameters that hold a key, beyond the usual names. Every key of the settings is struck out
            of URLs, logs and errors in any case, also where it is a part of the path.
        needs_contact: The upstream turns away who gives no contact in the User-Agent; live, the client then demands one.
        others: Further bases of the same API by name, asked with ``get(path, host=name)``.
    """

    live_url: str
    sandbox_path: str
    requests_per_s: float
    burst: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 4
    backoff_s: float = 0.5
    backoff_max_s: float = 20.0
    timeout_s: float = 15.0
    max_body_bytes: int = 32 * MIB
    secret_parameters: tuple[str, ...] = ()
    needs_contact: bool = False
    others: Mapping[str, HostPolicy] = field(default_factory=dict)

    def base_url(self, settings: Settings) -> str:
        """Answer the base URL of the settings' profile.

        Raises:
            ConfigurationError: The profile is the sandbox, and no sandbox runs.
        """
        if settings.profile == "live":
            return self.live_url
        if settings.sandbox_url is None:
            raise ConfigurationError("no sandbox is running: start one with `omc sandbox serve`, or set OMC_SANDBOX_URL")
        return f"{settings.sandbox_url.rstrip('/')}{self.sandbox_path}"

    def named(self, host: str) -> HostPolicy:
        """Answer the policy of one of the ``others``, or this one for the empty name."""
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
            raise NotConfiguredError(f"{self.live_url} demands a contact in the User-Agent: set OMC_CONTACT to your mail address")
        return f"omc/{version} (no contact set)"
