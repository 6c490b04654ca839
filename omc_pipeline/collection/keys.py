"""The keys of an upstream, by name and account: from the environment today, through an interface that a store can fill, too.

``OMC_KEY_<NAME>`` is the key of a public API or of a venue's default account, ``OMC_KEY_<NAME>__<ACCOUNT>`` that of another account:
its id in upper case, ``-`` as ``_``. In the sandbox profile every key is made up by a rule, so that no real one leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pydantic import SecretStr

from omc_infra.errors import NotConfiguredError
from omc_infra.settings import Settings
from omc_pipeline.collection.accounts import Account


class KeyStore(Protocol):
    """Where keys are kept."""

    def key(self, name: str, account: Account | None) -> SecretStr | None:
        """Return one key, or None where it isn't there."""
        ...

    def place(self, name: str, account: Account | None) -> str:
        """Return where a person puts that key, for a message."""
        ...


class EnvironmentKeys:
    """The keys of the environment.

    Args:
        settings: They hold the variables that were read.
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = settings.keys

    def key(self, name: str, account: Account | None) -> SecretStr | None:
        """Return one key, or None where its variable isn't set."""
        value = self._keys.get(self.place(name, account).removeprefix("OMC_KEY_").lower())
        return value if value and value.get_secret_value() else None

    def place(self, name: str, account: Account | None) -> str:
        """Return the variable of a key."""
        suffix = "" if account is None or account.is_default else f"__{account.account_id.replace('-', '_')}"
        return f"OMC_KEY_{name}{suffix}".upper()


class SandboxKeys:
    """Keys made up by a rule, which the sandbox knows, too; they open nothing anywhere else."""

    def key(self, name: str, account: Account | None) -> SecretStr:
        """Return ``sandbox-<name>-<account>``, or ``sandbox-<name>`` for a key of no account."""
        return SecretStr("-".join(["sandbox", name.replace("_", "-"), *([account.account_id] if account else [])]))

    def place(self, name: str, account: Account | None) -> str:
        """Return nothing: no key is ever missing."""
        return ""


def key_store(settings: Settings) -> KeyStore:
    """Return where the profile's keys are."""
    return SandboxKeys() if settings.profile == "sandbox" else EnvironmentKeys(settings)


def keys_of(names: Sequence[str], account: Account | None, settings: Settings, store: KeyStore | None = None) -> Mapping[str, SecretStr]:
    """Return the keys of these names for an account, and no others.

    Args:
        names: As the source declares them.
        account: Whose; None for a source that is not collected by account.
        settings: Of these, the profile and the variables.
        store: Where keys are; None: where the profile has them.

    Raises:
        NotConfiguredError: One is missing; the message names each variable to set, never a value.
    """
    kept = store or key_store(settings)
    found = {name: kept.key(name, account) for name in names}
    missing = [kept.place(name, account) for name, key in found.items() if key is None]
    if missing:
        whose = f" for account '{account.account_id}'" if account and not account.is_default else ""
        raise NotConfiguredError(f"set {' and '.join(missing)}{whose}")
    return {name: key for name, key in found.items() if key is not None}
