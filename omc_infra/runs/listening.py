"""The server's lock and its socket: one server a folder, reachable by its owner alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from dataclasses import dataclass

from omc_infra.errors import ConfigurationError
from omc_infra.runs.places import Places

_BACKLOG = 128


@dataclass
class Listener:
    """A locked folder and a listening socket."""

    socket: socket.socket
    lock: int
    identity: str
    """Of the socket's file; an inode number alone is given anew as soon as it is free."""

    @classmethod
    def open(cls, places: Places, patience_s: float) -> Listener:
        """Take the folder's lock, then the socket's path from whatever dead server left it.

        Raises:
            ConfigurationError: Another server has held the lock for ``patience_s``.
        """
        lock = os.open(places.server_lock, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + patience_s
        while not _locked(lock):
            if time.monotonic() > deadline:
                raise ConfigurationError(f"another warm server is running on {places.folder}")
            time.sleep(0.05)
        places.socket.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            listening.bind(str(places.socket))
        finally:
            os.umask(mask)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
        return cls(listening, lock, _identity(places))

    def is_reachable(self, places: Places) -> bool:
        """Say whether the path still leads here; not so after the home was removed, wherever the socket is, or another server bound it."""
        try:
            return self._owns_socket(places) and os.path.samestat(os.fstat(self.lock), places.server_lock.stat())
        except OSError:
            return False

    def stop_listening(self, places: Places) -> None:
        """Give up the path; connections that exist stay."""
        with contextlib.suppress(OSError):
            if self._owns_socket(places):
                places.socket.unlink()
        self.socket.close()

    def close(self) -> None:
        """Close everything here, in a forked process; the path stays the server's."""
        self.socket.close()
        os.close(self.lock)

    def _owns_socket(self, places: Places) -> bool:
        return _identity(places) == self.identity


def _identity(places: Places) -> str:
    found = places.socket.stat()
    return f"{found.st_dev}:{found.st_ino}:{found.st_ctime_ns}"


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
