"""One PostgreSQL server for all processes of a ``home``: the first process starts it, the last one stops it.

Each process that uses it holds a shared ``flock``. At its end it tries to make the lock exclusive; if that works, it was the last one. The
kernel releases the locks of a killed process, so the count is right even after ``kill -9``.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from omc_infra.errors import DatabaseUnavailableError
from omc_infra.postgres.binaries import Binaries, installed_binaries
from omc_infra.postgres.folder import LOOPBACK, ServerFolder
from omc_infra.postgres.postmaster import ADMINISTRATOR, PidFile, Postmaster

_START_LOCK_TIMEOUT_S = 180.0
_POLL_S = 0.02


@dataclass(frozen=True)
class Server:
    """A running embedded server; the administrator logs in by password, over loopback or the Unix socket."""

    port: int
    folder: Path
    password: str = field(repr=False)
    host: str = LOOPBACK
    user: str = ADMINISTRATOR

    def admin_url(self, database: str) -> str:
        """Return the administrator's URL of one database; it holds the password."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{database}"


@contextmanager
def running(home: Path, *, durable: bool = True, binaries: Binaries | None = None) -> Iterator[Server]:
    """Start the server of a home, or share the one that runs; the last to leave stops it.

    Args:
        home: Folder below which ``postgres/`` is kept.
        durable: Whether commits reach the disk before they are answered; only tests do without.
        binaries: Programs to run instead of the installed ones.

    Raises:
        DatabaseUnavailableError: The server doesn't start.
        ConfigurationError: The folder isn't ours, or of another PostgreSQL.
    """
    with serving(home, durable=durable, binaries=binaries) as port:
        folder = ServerFolder.prepare(home)
        yield Server(port, folder.path, folder.password())


@contextmanager
def serving(home: Path, *, durable: bool = True, binaries: Binaries | None = None) -> Iterator[int]:
    """Do the same as ``running``, but yield the port only: for a process that doesn't administer the server.

    Raises:
        DatabaseUnavailableError: The server doesn't start.
        ConfigurationError: The folder isn't ours, or of another PostgreSQL.
    """
    folder = ServerFolder.prepare(home)
    postmaster = Postmaster(folder, binaries or installed_binaries(), durable)
    holding = folder.open_lock("holders.lock")
    try:
        with _start_lock(folder):
            fcntl.flock(holding, fcntl.LOCK_SH)
            port = postmaster.ensure_started()
        try:
            yield port
        finally:
            with _start_lock(folder):
                if _becomes_exclusive(holding):
                    postmaster.stop()
    finally:
        os.close(holding)


def found(home: Path) -> PidFile | None:
    """Return process id and port of a home's server, or None where none runs; starts nothing."""
    if not (home / "postgres" / "data").is_dir():
        return None
    return Postmaster(ServerFolder(home / "postgres"), installed_binaries()).alive()


def stop(home: Path, *, force: bool = False) -> bool:
    """Stop a home's server unless somebody uses it; ``force`` stops it anyway.

    Returns:
        Whether no server runs now.
    """
    if found(home) is None:
        return True
    folder = ServerFolder.prepare(home)
    holding = folder.open_lock("holders.lock")
    try:
        with _start_lock(folder):
            if not force and not _becomes_exclusive(holding):
                return False
            Postmaster(folder, installed_binaries()).stop()
            return True
    finally:
        os.close(holding)


@contextmanager
def _start_lock(folder: ServerFolder) -> Iterator[None]:
    lock = folder.open_lock("start.lock")
    try:
        deadline = time.monotonic() + _START_LOCK_TIMEOUT_S
        while not _becomes_exclusive(lock):
            if time.monotonic() > deadline:
                raise DatabaseUnavailableError(
                    f"{folder.path}: another process has been starting or stopping the server for {_START_LOCK_TIMEOUT_S:.0f} s"
                )
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(lock)


def _becomes_exclusive(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
