"""Where a model's key comes from: an interface, and the environment behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from pydantic import SecretStr

from omc_agents.models.catalogue import Provider
from omc_infra.errors import NotConfiguredError
from omc_infra.settings import Settings


class Keys(Protocol):
    """Finds the key of a user for a provider."""

    def key(self, provider: Provider, user_id: str) -> SecretStr:
        """Return the key.

        Raises:
            NotConfiguredError: There is none.
        """
        ...


@dataclass(frozen=True)
class EnvironmentKeys:
    """One key a provider for everybody, from ``OMC_KEY_<PROVIDER>``."""

    settings: Settings = field(repr=False)

    def key(self, provider: Provider, user_id: str) -> SecretStr:
        """Return the key of the environment."""
        found = self.settings.key(provider)
        if not found:
            raise NotConfiguredError(f"{provider} is not configured: set OMC_KEY_{provider.upper()}")
        return SecretStr(found)
