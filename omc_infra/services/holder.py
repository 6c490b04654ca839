"""One platform per database: an advisory lock on a session that stays open while the platform runs.

Two daemons on one Dagster instance would each launch every tick, and the second platform would cancel the first one's runs. The
lock falls with its session: at once when the holder is killed, after a minute when its machine vanishes. Who holds it stands in
``omc.platform_holder``; that row is believed only while its server process holds the lock.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import structlog

from omc_infra.errors import ConfigurationError, OmcError
from omc_infra.postgres.database import Database
from omc_infra.postgres.roles import Role

log = structlog.get_logger()
PLATFORM_LOCK = 0x6F6D6303
"""Key of the advisory lock; see ``omc_infra.postgres.roles`` for its neighbours."""
HOLDER_ROLE: Role = "writer"
_PATIENCE_S, _POLL_S = 3.0, 0.3
_LOOK_AGAIN_S = 5.0
_APPLICATION = "omc platform"

_HOLDS = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND classid = 0 AND objid = %s AND objsubid = 1 AND granted
"""
_KEEPALIVE = "SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 4"
_WRITE = """
INSERT INTO omc.platform_holder (host, pid, home, since, backend_pid) VALUES (%(host)s, %(pid)s, %(home)s, %(since)s, pg_backend_pid())
ON CONFLICT (only_row) DO UPDATE SET host = excluded.host, pid = excluded.pid, home = excluded.home, since = excluded.since,
    backend_pid = excluded.backend_pid
"""


class PlatformTakenError(ConfigurationError):
    """Another platform runs on the database; the message says where."""

    advice = "Stop the other platform, or give this one a database of its own (`OMC_HOME` or `OMC_DATABASE_URL`)."


@dataclass(frozen=True)
class Holder:
    """The platform that runs on a database."""

    host: str
    pid: int
    home: str
    since: datetime

    def __str__(self) -> str:
        """Say where it runs and since when."""
        return f"process {self.pid} on {self.host}, home {self.home}, since {self.since:%Y-%m-%d %H:%M:%S} UTC"


class PlatformLock:
    """The database's platform lock of this process; a context manager that releases it.

    Args:
        database: On which the platform runs.
        home: The platform's home, told to others.
        since: When the platform started, told to others.
    """

    def __init__(self, database: Database, home: Path, since: datetime) -> None:
        self._database = database
        self._holder = Holder(socket.gethostname(), os.getpid(), str(home), since)
        self._session: psycopg.Connection[Any] | None = None
        self._look_at = 0.0
        self._is_announced = False

    def __enter__(self) -> PlatformLock:
        """Take the lock; one whose holder is just ending is waited for.

        Raises:
            PlatformTakenError: Another platform has it.
        """
        self._require_login()
        deadline = time.monotonic() + _PATIENCE_S
        while not self._take():
            if time.monotonic() > deadline:
                raise self._taken()
            time.sleep(_POLL_S)
        return self

    def __exit__(self, *_error: object) -> None:
        self._hang_up()

    def announce(self) -> None:
        """Tell others who holds the lock; the database is migrated."""
        assert self._session is not None  # noqa: S101 only within the context
        self._session.execute(_WRITE, vars(self._holder))
        self._is_announced = True

    def keep(self) -> bool:
        """Look whether the lock is still held, and take it again where its session was lost; meant to be called every second or so.

        A database that does not answer is asked again later.

        Returns:
            Whether the session had been lost and the lock was taken again.

        Raises:
            PlatformTakenError: Meanwhile another platform took it; this one must end.
        """
        if self._session is not None and self._is_open():
            return False
        self._hang_up()
        if time.monotonic() < self._look_at:
            return False
        try:
            if not self._take():
                raise self._taken()
            if self._is_announced:
                self.announce()
        except (psycopg.OperationalError, OmcError) as error:
            if isinstance(error, PlatformTakenError):
                raise
            log.debug("the platform's lock can't be taken yet", reason=" ".join(str(error).split()))
            self._look_at = time.monotonic() + _LOOK_AGAIN_S
            return False
        return True

    def _require_login(self) -> None:
        """Name the holder also to a home that doesn't know the passwords of the database's roles; such a home can't take the lock."""
        if HOLDER_ROLE in self._database.logins:
            return
        with contextlib.suppress(psycopg.Error):
            if read_holder(self._database) is not None:
                raise self._taken()
        self._database.ensure_roles()

    def _is_open(self) -> bool:
        assert self._session is not None  # noqa: S101 the caller looked
        try:
            self._session.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _take(self) -> bool:
        session = self._database.connect(HOLDER_ROLE)
        try:
            session.autocommit = True
            session.execute(f"SET application_name = '{_APPLICATION}'; SET idle_session_timeout = 0; {_KEEPALIVE}")
            _notice_a_dead_peer(session)
            row = session.execute("SELECT pg_try_advisory_lock(%s)", [PLATFORM_LOCK]).fetchone()
        except BaseException:
            session.close()
            raise
        if row is None or not row[0]:
            session.close()
            return False
        self._session = session
        return True

    def _taken(self) -> PlatformTakenError:
        with contextlib.suppress(OmcError, psycopg.Error):
            holder = read_holder(self._database)
            if holder is not None:
                return PlatformTakenError(
                    f"a platform is already running on {self._database.address}: {holder}; stop it, or use another database"
                )
        return PlatformTakenError(f"a platform is starting or stopping on {self._database.address}; stop it, or use another database")

    def _hang_up(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def read_holder(database: Database) -> Holder | None:
    """Return the platform that holds a database's lock, or None where none does or it hasn't said yet who it is."""
    knows_reader = "reader" in database.logins
    with database.connect("reader") if knows_reader else database.address.administer() as connection:
        backends = {row[0] for row in connection.execute(_HOLDS, [PLATFORM_LOCK])}
        if not backends or connection.execute("SELECT to_regclass('omc.platform_holder')").fetchone() == (None,):
            return None
        row = connection.execute("SELECT host, pid, home, since, backend_pid FROM omc.platform_holder").fetchone()
    return Holder(*row[:4]) if row and row[4] in backends else None


def _notice_a_dead_peer(session: psycopg.Connection[Any]) -> None:
    """Give up within seconds on a server whose machine vanished, instead of after the system's quarter of an hour."""
    with socket.socket(fileno=os.dup(session.fileno())) as line:
        if line.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_USER_TIMEOUT"):
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 10_000)
