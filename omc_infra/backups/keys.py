"""Keys of backups, in the format of age: a public one encrypts, a secret one decrypts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omc_infra.errors import ConfigurationError
from omc_infra.settings import Settings

if TYPE_CHECKING:
    from pyrage import x25519

VARIABLE = "OMC_BACKUP_KEY"


def new_key() -> tuple[str, str]:
    """Return a new secret key and its public one, as text."""
    from pyrage import x25519

    identity = x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def encrypting_key(settings: Settings) -> x25519.Recipient:
    """Return the key that encrypts: the setting's own, or the public one of a secret key.

    Raises:
        ConfigurationError: None is set, or it is no key.
    """
    from pyrage import RecipientError, x25519

    written = _written(settings)
    if written.upper().startswith("AGE-SECRET-KEY-"):
        return _identity(written).to_public()
    try:
        return x25519.Recipient.from_str(written)
    except RecipientError:
        raise ConfigurationError(f"{VARIABLE}: is no key; `omc backup --new-key` makes one") from None


def decrypting_key(settings: Settings) -> x25519.Identity:
    """Return the key that decrypts.

    Raises:
        ConfigurationError: None is set, or it is a public key or none.
    """
    written = _written(settings)
    if not written.upper().startswith("AGE-SECRET-KEY-"):
        raise ConfigurationError(f"{VARIABLE}: restoring needs the secret key, which begins with AGE-SECRET-KEY-")
    return _identity(written)


def _identity(written: str) -> x25519.Identity:
    from pyrage import IdentityError, x25519

    try:
        return x25519.Identity.from_str(written)
    except IdentityError:
        raise ConfigurationError(f"{VARIABLE}: is no key; `omc backup --new-key` makes one") from None


def _written(settings: Settings) -> str:
    if settings.backup_key is None:
        raise ConfigurationError(f"{VARIABLE} is not set: backups are always encrypted; `omc backup --new-key` makes a key")
    return settings.backup_key.get_secret_value().strip()
