"""The sandbox that a platform runs on a home: found by the port it announced, and by its word that it is this home's."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from urllib.request import urlopen

from omc_infra.settings import Settings

_ANSWER_S = 2.0


def state_file(settings: Settings) -> Path:
    """Return where the sandbox of a home keeps its state."""
    return settings.home / "sandbox" / "state.jsonl"


def port_file(settings: Settings) -> Path:
    """Return where the sandbox of a home's platform announces its port."""
    return settings.home / "sandbox" / "port"


def home_id(state: Path | None) -> str:
    """Return the name by which the sandbox on a state file is known, without its path; empty where it keeps none."""
    return hashlib.sha256(str(state.absolute()).encode()).hexdigest()[:16] if state else ""


def running_sandbox(settings: Settings) -> str | None:
    """Return the base URL of the sandbox that runs on a home, or None; a port that somebody else has now is not taken for it."""
    try:
        url = f"http://127.0.0.1:{int(port_file(settings).read_text())}"
        with urlopen(f"{url}/_control/health", timeout=_ANSWER_S) as answer:  # noqa: S310 loopback
            document = json.load(answer)
    except (OSError, ValueError):
        return None
    return url if isinstance(document, dict) and document.get("home") == home_id(state_file(settings)) else None
