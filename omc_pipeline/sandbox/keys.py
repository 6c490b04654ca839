"""Keys of the seeded user's accounts on the sandbox; they open nothing anywhere else."""

from __future__ import annotations

from collections.abc import Mapping

SANDBOX_KEYS: Mapping[str, str] = {
    "coinspot": "sandbox-read-only-key",
    "coinspot_secret": "sandbox-read-only-secret",
}
"""By the names under which ``Settings.key`` holds the real ones."""
