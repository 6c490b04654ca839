"""Files of an embedded server, all below ``<home>/postgres``; nothing outside is changed.

::

    data/             the cluster; made as ``initdb-*`` and renamed, so a half-made one is never taken for it
    log/              the server's log, one file a weekday, each overwritten a week later
    password          of the administrator, mode 0600
    port              chosen once
    socket/           the Unix socket; where the path is too long for one, ``socket_path`` names a private folder in /tmp
    start.lock        held while somebody starts or stops the server
    holders.lock      held, shared, by everybody who uses it
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from omc_infra.errors import ConfigurationError
from omc_infra.private import private_folder

LOOPBACK = "127.0.0.1"
_SOCKET_PATH_LIMIT_BYTES = 107
_LONGEST_SOCKET_NAME = "/.s.PGSQL.65535.lock"
_FIRST_PORT, _LAST_PORT = 20_000, 32_000  # below the range that outgoing connections are given


@dataclass(frozen=True)
class ServerFolder:
    """The folder of one embedded server."""

    path: Path

    @classmethod
    def prepare(cls, home: Path) -> ServerFolder:
        """Make the folder, private to its owner; root makes it the property of whoever owns the place it lies in.

        Raises:
            ConfigurationError: The folder can't be made, or isn't ours.
        """
        path = home / "postgres"
        try:
            if not home.is_dir():
                private_folder(home)
                _give(home, _owner(home.parent))
            if not path.is_dir():
                path.mkdir(mode=0o700, exist_ok=True)
                _give(path, _owner(home))
            with tempfile.TemporaryFile(dir=path):
                return cls(path)
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}; set OMC_HOME to a folder that you can write to") from error

    @property
    def data(self) -> Path:
        """The cluster itself."""
        return self.path / "data"

    @property
    def logs(self) -> Path:
        """Where the server writes its log."""
        return self.path / "log"

    @property
    def owner(self) -> int:
        """User id the folder belongs to."""
        return self.path.stat().st_uid

    @property
    def mark(self) -> str:
        """A name in the command line of each process of this cluster.

        It is the folder's inode: it stays when a checkout is renamed, and a copied one has another. Ids of processes can't
        tell: they are used again.
        """
        stat = self.data.stat()
        return f"omc-{stat.st_dev:x}-{stat.st_ino:x}"

    def open_lock(self, name: str) -> int:
        """Open a lock file and answer its descriptor, which no child inherits."""
        path = self.path / name
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.claim(path)
        return descriptor

    def claim(self, path: Path) -> None:
        """Give a path made by root to the folder's owner."""
        if path.stat().st_uid != self.owner:
            _give(path, self.owner)

    def password(self) -> str:
        """Return the administrator's password, made at random the first time."""
        secret = kept_secret(self.path / "password")
        self.claim(self.path / "password")
        return secret

    def port(self) -> int:
        """Return the remembered port, or another one, remembered from now on, where it is taken."""
        file = self.path / "port"
        with suppress(FileNotFoundError, ValueError):
            port = int(file.read_text())
            if _is_free(port):
                return port
        port = _free_port()
        file.write_text(f"{port}\n")
        self.claim(file)
        return port

    def sockets(self) -> Path:
        """Return the folder for the Unix socket, empty: a short one elsewhere where this path is too long for a socket."""
        own = self.path / "socket"
        self.remove_sockets()
        if len(os.fsencode(own)) + len(_LONGEST_SOCKET_NAME) <= _SOCKET_PATH_LIMIT_BYTES:
            own.mkdir(mode=0o700, exist_ok=True)
            self.claim(own)
            return own
        elsewhere = Path(tempfile.mkdtemp(prefix="omc-", dir="/tmp"))  # private, and the only short place there is
        self.claim(elsewhere)
        remembered = self.path / "socket_path"
        remembered.write_text(str(elsewhere))
        self.claim(remembered)
        return elsewhere

    def remove_sockets(self) -> None:
        """Remove what a server left in its socket folder: a lock file there would name a process that is gone."""
        shutil.rmtree(self.path / "socket", ignore_errors=True)
        remembered = self.path / "socket_path"
        with suppress(FileNotFoundError):
            elsewhere = Path(remembered.read_text())
            if elsewhere.parent == Path("/tmp") and elsewhere.name.startswith("omc-"):  # noqa: S108 made above
                shutil.rmtree(elsewhere, ignore_errors=True)
            remembered.unlink()


def kept_secret(path: Path) -> str:
    """Return the secret kept in a file, made at random (256 bits) and readable by its owner only where there is none."""
    with suppress(FileNotFoundError):
        return path.read_text()
    private_folder(path.parent)
    descriptor, fresh = tempfile.mkstemp(prefix="secret-", dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32))
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(fresh, path)  # fails where another process was first; its secret is the one
    Path(fresh).unlink()
    return path.read_text()


def claim_for_owner_of(home: Path, path: Path) -> None:
    """Give a path made by root to whoever owns the home it lies in."""
    if path.stat().st_uid != home.stat().st_uid:
        _give(path, _owner(home))


def has_name(uid: int) -> bool:
    """Tell whether the system knows a user of that id; initdb refuses to run as one it doesn't know."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _owner(path: Path) -> int:
    uid = path.stat().st_uid
    return uid if has_name(uid) else os.geteuid()


def _give(path: Path, uid: int) -> None:
    if os.geteuid() == 0:
        os.chown(path, uid, pwd.getpwuid(uid).pw_gid if has_name(uid) else uid, follow_symlinks=False)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError):
            return False
        return True


def _free_port() -> int:
    for _ in range(100):
        port = _FIRST_PORT + secrets.randbelow(_LAST_PORT - _FIRST_PORT)
        if _is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        free: int = probe.getsockname()[1]
        return free
