"""What a collection needs before it asks: the source's own keys, its account, and the hosts that are in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import SecretStr

from omc_infra.errors import NotConfiguredError
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


def chosen_hosts(config: SourceConfig) -> Mapping[str, tuple[str, ...]]:
    """Return the live hosts of a source's options by the name of the policy they stand for; empty for the source's own."""
    return {"" if name == MAIN_HOST else name: urls for name, urls in config.hosts.items()}


def default_hosts(source: Source) -> Mapping[str, tuple[str, ...]]:
    """Return the live base URLs of a source by host name."""
    policies = {} if source.policy is None else {MAIN_HOST: source.policy, **source.policy.others}
    return {name: policy.live_urls for name, policy in policies.items()}
