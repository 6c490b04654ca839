"""Folders and files that only their owner can read: everything below ``OMC_HOME``.

Ledgers, logs and what runs print hold amounts, orders and answers of private APIs; another user of the machine has no business there.
Every command and every process of the platform runs with ``PRIVATE_UMASK``; a home made before that is mended when its platform starts.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

PRIVATE_UMASK = 0o077
_OTHERS = 0o077
_NOT_OURS = "postgres"
"""The server's folder: PostgreSQL itself demands that it is private, and it may belong to another user."""


def private_folder(path: Path) -> Path:
    """Make a folder, and those above it, that only its owner may enter; one that exists is left as it is."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def mend_home(home: Path) -> int:
    """Close a home and everything in it to other users.

    The home itself is closed last: a closed home is a mended one and costs one look, and a walk that was killed is repeated.

    Returns:
        How many folders and files were open to others.
    """
    if not _is_open(home.stat(), _kept_bits(home)):
        return 0
    mended = sum(_close(path) for path in _below(home))
    return mended + _close(home, _kept_bits(home))


def let_pass(home: Path) -> None:
    """Let other users pass a home, without reading it, to a folder in it that belongs to them."""
    home.chmod(stat.S_IMODE(home.stat().st_mode) | 0o011)


def _kept_bits(home: Path) -> int:
    """Return the bits that stay: others pass through where the server's folder belongs to another user, who needs it."""
    server = home / _NOT_OURS
    return 0o011 if server.is_dir() and server.stat().st_uid != home.stat().st_uid else 0


def _below(home: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(home):
        if Path(folder) == home and _NOT_OURS in names:
            names.remove(_NOT_OURS)
        yield from (Path(folder, name) for name in (*names, *files))


def _close(path: Path, kept: int = 0) -> int:
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        if os.geteuid() in (0, found.st_uid) and not stat.S_ISLNK(found.st_mode) and _is_open(found, kept):
            path.chmod(stat.S_IMODE(found.st_mode) & ~(_OTHERS & ~kept))
            return 1
    return 0


def _is_open(found: os.stat_result, kept: int = 0) -> bool:
    return bool(stat.S_IMODE(found.st_mode) & _OTHERS & ~kept)
