"""What a collection needs before it asks: the source's own keys, its account, and the hosts that are in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import SecretStr

from omc_infra.errors import NotConfiguredError
from omc_infra.http import HostPolicy
from omc_pipeline.collection.options import MAIN_HOST, SourceConfig
from omc_pipeline.collection.source import Account, Source

if TYPE_CHECKING:
    from omc_infra.settings import Settings


def source_keys(source: Source, settings: Settings) -> Mapping[str, SecretStr]:
    """Return the keys of a source by name, and no others; in the sandbox profile its own, so that no real key leaves.

    Raises:
        NotConfiguredError: Live, and a key of the source is missing.
    """
    if settings.profile == "sandbox":
        return {name: sandbox_key(name) for name in source.keys}
    missing = [f"OMC_KEY_{name.upper()}" for name in source.keys if not settings.key(name)]
    if missing:
        raise NotConfiguredError(f"{source.name} is not configured: set {' and '.join(missing)}")
    return {name: settings.keys[name] for name in source.keys}


def sandbox_key(name: str) -> SecretStr:
    """Return the key that the sandbox takes under a name; it opens nothing anywhere else."""
    return SecretStr(f"sandbox-{name.replace('_', '-')}-key")


def source_account(source: Source, settings: Settings) -> Account | None:
    """Return the default account of the configured user, or None for a source that is not collected by account."""
    return Account(settings.user, source.venue) if source.per_account else None


def policy_in_force(source: Source, config: SourceConfig) -> HostPolicy | None:
    """Return the source's policy with the hosts of its options, which the live profile asks; the sandbox's paths stay."""
    if source.policy is None or not config.hosts:
        return source.policy
    others = {name: _with_hosts(policy, config.hosts.get(name, ())) for name, policy in source.policy.others.items()}
    return replace(_with_hosts(source.policy, config.hosts.get(MAIN_HOST, ())), others=others)


def default_hosts(source: Source) -> Mapping[str, tuple[str, ...]]:
    """Return the live base URLs of a source by host name."""
    if source.policy is None:
        return {}
    policies = {MAIN_HOST: source.policy, **source.policy.others}
    return {name: (policy.live_url,) for name, policy in policies.items()}


def _with_hosts(policy: HostPolicy, urls: tuple[str, ...]) -> HostPolicy:
    return replace(policy, live_url=urls[0]) if urls else policy
