"""Which keys the sandbox takes: ``sandbox-<name>-<account>``, so that every account has keys of its own; they open nothing else."""

from __future__ import annotations

_KEY, _SECRET = "sandbox-coinspot-", "sandbox-coinspot-secret-"


def account_of_key(key: str) -> str | None:
    """Return the account that a CoinSpot key of the sandbox belongs to, or None where it is none."""
    account = key.removeprefix(_KEY)
    return account if account and key.startswith(_KEY) and not key.startswith(_SECRET) else None


def secret_of_account(account: str) -> str:
    """Return the secret that signs an account's requests."""
    return _SECRET + account
