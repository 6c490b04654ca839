"""Keys of the seeded user's accounts on the sandbox; they open nothing anywhere else."""

from __future__ import annotations

from collections.abc import Mapping

SANDBOX_KEYS: Mapping[str, str] = {
    "coinspot": "sandbox-coinspot-key",
    "coinspot_secret": "sandbox-coinspot-secret-key",
}
"""By the names under which ``Settings.key`` holds the real ones; a collection in the sandbox profile sends ``sandbox-<name>-key``."""
