"""Passwords of the roles: each in a private file or in a variable.

::

    <home>/credentials/<host>-<port>-<database>/<role>     a server of one's own
    <home>/credentials/<database>/<role>                   the embedded server

A variable ``OMC_DATABASE_<ROLE>_URL`` or ``_PASSWORD`` wins over the file. Only a process with the administrator's access looks
into the folder; every other process is given its passwords by variables and no way to the rest.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.address import Address
from omc_infra.postgres.folder import claim_for_owner_of
from omc_infra.settings import LOGIN_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from omc_infra.postgres.roles import Role
    from omc_infra.settings import Settings

ACCESS_VARIABLE = "OMC_DATABASE_ACCESS"


@dataclass(frozen=True)
class CredentialFiles:
    """The recorded passwords of one database's roles."""

    folder: Path

    @classmethod
    def of(cls, settings: Settings, address: Address) -> CredentialFiles:
        """Return the files of a database; nothing is made."""
        place = address.database if address.embedded else f"{address.host.replace('/', '_')}-{address.port}-{address.database}"
        return cls(settings.home / "credentials" / place)

    def recorded(self, role: Role) -> str | None:
        """Return a role's password, or None where none is recorded."""
        with suppress(FileNotFoundError):
            return (self.folder / role).read_text()
        return None

    def ensure(self, role: Role) -> str:
        """Return a role's password; record a random one (256 bits) where there is none."""
        fresh = self._written(new_password())
        with suppress(FileExistsError):
            os.link(fresh, self.folder / role)  # fails where another process was first; its password is the one
        fresh.unlink()
        return (self.folder / role).read_text()

    def record(self, role: Role, password: str) -> None:
        """Replace a role's password, atomically."""
        self._written(password).replace(self.folder / role)

    def older_secret(self) -> str | None:
        """Return the secret from which passwords were derived where the administrator has none; None where there never was one."""
        with suppress(FileNotFoundError):
            return (self.folder.parent.parent / "role_secret").read_text()
        return None

    def _written(self, password: str) -> Path:
        home = self.folder.parent.parent
        home.mkdir(parents=True, exist_ok=True)
        for folder in (self.folder.parent, self.folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            claim_for_owner_of(home, folder)
        descriptor, name = tempfile.mkstemp(prefix="new-", dir=self.folder)
        with os.fdopen(descriptor, "w") as file:
            file.write(password)
            file.flush()
            os.fsync(file.fileno())
        claim_for_owner_of(home, Path(name))
        return Path(name)


def new_password() -> str:
    """Return a random password of 256 bits."""
    return secrets.token_urlsafe(32)


def url_variable(role: Role) -> str:
    """Return the variable that holds a role's whole login."""
    return f"OMC_DATABASE_{role.upper()}_URL"


def password_variable(role: Role) -> str:
    """Return the variable that holds a role's password."""
    return f"OMC_DATABASE_{role.upper()}_PASSWORD"


def given_login(settings: Settings, role: Role, address: Address | None, user: str) -> Address | None:
    """Return the login that the settings give a role, or None where they give none.

    Args:
        settings: May name a URL or a password of the role; the URL wins.
        role: Which role.
        address: Where a bare password belongs to; None where nothing says it.
        user: The role's name on the server.

    Raises:
        ConfigurationError: The URL is none, or a password is given without a server.
    """
    url: SecretStr | None = getattr(settings, f"database_{role}_url")
    password: SecretStr | None = getattr(settings, f"database_{role}_password")
    if url is not None:
        return Address.parse(url.get_secret_value(), variable=url_variable(role))
    if password is None:
        return None
    if address is None:
        raise ConfigurationError(f"{password_variable(role)} is set without a server; set {url_variable(role)} instead")
    return replace(address, user=user, password=password.get_secret_value())


def without_logins(environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables without any access to the database; a process started with them opens no role but what it is given."""
    return {**{name: value for name, value in environ.items() if name not in LOGIN_VARIABLES}, ACCESS_VARIABLE: "roles"}
