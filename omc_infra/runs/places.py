"""Where a Dagster home keeps its sockets, and its warm server locks and logs: a folder only its owner may enter."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from omc_infra.errors import ConfigurationError

_LONGEST_FOLDER = 80
"""Bytes of a folder of sockets, whose names have up to 20; the kernel's limit is 107 on Linux and 103 on macOS."""
_KEPT_LOGS = 100


@dataclass(frozen=True)
class Places:
    """Files of one Dagster home; its sockets may lie elsewhere where the home's path is too long for them."""

    folder: Path
    socket: Path

    @property
    def server_lock(self) -> Path:
        """Held by the server for as long as it lives."""
        return self.folder / "server.lock"

    @property
    def start_lock(self) -> Path:
        """Held by the launcher that starts a server."""
        return self.folder / "start.lock"

    @property
    def server_log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    @property
    def report_log(self) -> Path:
        """What the processes that report dead runs say; empty where all goes well."""
        return self.folder / "reports.log"

    def code_socket(self, location: str) -> Path:
        """Return the socket of a code location's server."""
        return self.socket.with_name(f"{location}.sock")

    def run_log(self, run_id: str) -> Path:
        """What a run's process prints outside of its steps; kept only where the process ended badly."""
        return self.folder / "runs" / f"{run_id}.log"

    def forget_old_logs(self) -> None:
        """Remove all but the newest logs of runs."""
        logs = sorted((self.folder / "runs").glob("*.log"), key=_written_at)
        for log in logs[:-_KEPT_LOGS]:
            log.unlink(missing_ok=True)


def places_of(dagster_home: Path) -> Places:
    """Return the places of a Dagster home, making their folders.

    Raises:
        ConfigurationError: A folder of that name belongs to somebody else or is open to others.
    """
    folder = dagster_home / "warm"
    _private(folder)
    _private(folder / "runs")
    socket = folder / "server.sock"
    if len(os.fsencode(folder)) > _LONGEST_FOLDER:
        home = hashlib.sha256(os.fsencode(dagster_home)).hexdigest()[:16]
        shared = Path(tempfile.gettempdir()) / f"omc-warm-{os.getuid()}"
        _private(shared)
        _private(shared / home)
        socket = shared / home / "server.sock"
    return Places(folder, socket)


def tail(log: Path, lines: int = 60) -> str:
    """Return the last lines of a log, or nothing where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def _written_at(log: Path) -> int:
    """Return when a log was last written to, in nanoseconds; one that another process has just removed is the oldest."""
    try:
        return log.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ConfigurationError(f"{folder} is not a folder of this user; remove it")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
