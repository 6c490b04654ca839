"""Which keys the sandbox takes: ``sandbox-<name>-<account>``, so that every account has keys of its own; they open nothing else."""

from __future__ import annotations


def account_of_key(key: str, venue: str = "coinspot") -> str | None:
    """Return the account that a venue's key of the sandbox belongs to, or None where it is none."""
    start = f"sandbox-{venue}-"
    account = key.removeprefix(start)
    return account if account and key.startswith(start) and not key.startswith(f"{start}secret-") else None


def secret_of_account(account: str, venue: str = "coinspot") -> str:
    """Return the secret that signs an account's requests."""
    return f"sandbox-{venue}-secret-{account}"


def may_trade(account: str) -> bool:
    """Return whether an account's key may trade, which no source may use: those of accounts whose id ends in ``trading``."""
    return account.endswith("trading")
