"""What runs on a home, written down by those who start it: one file a service in ``$OMC_HOME/services``, read by ``omc status``.

A file is believed only while the process it names lives: a pid with the time it was started.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from omc_infra.clock import utc_now
from omc_infra.private import private_folder
from omc_infra.runs.process import started_at


@dataclass(frozen=True)
class ServiceState:
    """A service's process.

    Attributes:
        name: Of the service.
        pid: Of its process.
        started: When the process was started, in the unit of ``omc_infra.runs.process.started_at``.
        since: The same as a time.
        host: Address it listens on.
        port: Port it listens on, or None.
        socket: Its Unix socket, or empty.
        log: File it writes to; empty where it writes to its terminal.
        restarts: How often the supervisor has started it again.
        supervised: Whether a supervisor starts it again when it ends.
        profile: Whose it is; empty where an earlier version started it.
    """

    name: str
    pid: int
    started: float
    since: datetime
    host: str
    port: int | None
    socket: str
    log: str
    restarts: int
    supervised: bool
    profile: str = ""

    @property
    def lives(self) -> bool:
        """Say whether the process still runs."""
        return started_at(self.pid) == self.started


def write_state(home: Path, state: ServiceState) -> None:
    """Write a service's file, whole at once."""
    file = _file(home, state.name)
    private_folder(file.parent)
    draft = file.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps({**asdict(state), "since": state.since.isoformat()}))
    draft.replace(file)


def forget_state(home: Path, name: str) -> None:
    """Remove a service's file."""
    _file(home, name).unlink(missing_ok=True)


def read_state(home: Path, name: str) -> ServiceState | None:
    """Return the state of a service whose process lives, or None."""
    try:
        fields = json.loads(_file(home, name).read_text())
        state = ServiceState(**{**fields, "since": datetime.fromisoformat(fields["since"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return state if state.lives else None


def since_now(pid: int) -> tuple[float, datetime]:
    """Return when a process that was just started began, in both units."""
    return started_at(pid) or 0.0, utc_now()


def _file(home: Path, name: str) -> Path:
    return home / "services" / f"{name}.json"
