"""How a service is checked: each check asks the service itself, and returns what is wrong with it or None.

A check never raises where the service doesn't work: that is its answer.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psycopg

from omc_infra.clock import utc_now
from omc_infra.errors import OmcError
from omc_infra.postgres.address import Address
from omc_infra.postgres.database import Database
from omc_infra.services.place import ServicePlace
from omc_infra.settings import Settings


@dataclass(frozen=True)
class Subject:
    """What a check may ask.

    Attributes:
        place: Where the service runs.
        since: When its process was started; None where that isn't known, as for a service that somebody else runs.
        database: The platform's database, or None where it can't be reached.
    """

    place: ServicePlace
    since: datetime | None = None
    database: Database | None = None


class Health(Protocol):
    """A check of one service."""

    def check(self, subject: Subject) -> str | None:
        """Return what is wrong in one line, or None for a healthy service."""


@dataclass(frozen=True)
class HttpHealth:
    """A GET of ``path`` answers with a status below 400 in time."""

    path: str = "/"
    timeout_s: float = 2.0

    def check(self, subject: Subject) -> str | None:
        """Ask over HTTP."""
        url = f"{subject.place.url}{self.path}"
        try:
            with urlopen(url, timeout=self.timeout_s):  # noqa: S310 a service of our own
                return None
        except HTTPError as error:
            return f"{url} answers {error.code}"
        except (URLError, OSError) as error:
            return f"{url} does not answer: {getattr(error, 'reason', error)}"


@dataclass(frozen=True)
class ListeningHealth:
    """Its Unix socket, or its port where it has one, takes a connection in time."""

    timeout_s: float = 2.0

    def check(self, subject: Subject) -> str | None:
        """Connect and hang up."""
        place = subject.place
        at: tuple[str, int] | str = str(place.socket) if place.port is None else (place.host, place.port)
        try:
            with socket.socket(socket.AF_UNIX if place.port is None else socket.AF_INET) as probe:
                probe.settimeout(self.timeout_s)
                probe.connect(at)
        except OSError as error:
            return f"{at if isinstance(at, str) else f'{at[0]}:{at[1]}'} takes no connection: {error.strerror or error}"
        return None


@dataclass(frozen=True)
class ServerHealth:
    """PostgreSQL lets the administrator in and answers a statement."""

    def check(self, subject: Subject) -> str | None:
        """Log in and ask."""
        address = server_address(subject.place.settings)
        if address is None:
            return "the embedded PostgreSQL does not run"
        try:
            with address.administer() as connection:
                connection.execute("SELECT 1")
        except (OmcError, psycopg.Error) as error:
            return " ".join(str(error).split())
        return None


@dataclass(frozen=True)
class HeartbeatHealth:
    """Every part of the Dagster daemon has written a heartbeat since its process started, none older than ``longest_s``."""

    longest_s: float = 120.0

    def check(self, subject: Subject) -> str | None:
        """Read the heartbeats of the newest daemon."""
        if subject.database is None:
            return "its heartbeats can't be read: the database does not answer"
        try:
            with subject.database.connect("dagster") as connection:
                rows = connection.execute(_HEARTBEATS).fetchall()
        except (OmcError, psycopg.Error) as error:
            return f"its heartbeats can't be read: {' '.join(str(error).split())}"
        if not rows or (subject.since is not None and all(beat < subject.since for _, beat in rows)):
            return "no heartbeat yet"
        late = [kind for kind, beat in rows if utc_now() - beat > timedelta(seconds=self.longest_s)]
        return f"no heartbeat of {', '.join(late)} for more than {self.longest_s:.0f} s" if late else None


_HEARTBEATS = """
SELECT daemon_type, timestamp AT TIME ZONE 'UTC' FROM dagster.daemon_heartbeats
WHERE daemon_id = (SELECT daemon_id FROM dagster.daemon_heartbeats ORDER BY timestamp DESC LIMIT 1) ORDER BY daemon_type
"""


def server_address(settings: Settings) -> Address | None:
    """Return the administrator's address of the settings' server; None where the embedded one doesn't run. Starts nothing."""
    from omc_infra.postgres import embedded
    from omc_infra.postgres.folder import LOOPBACK, ServerFolder
    from omc_infra.postgres.postmaster import ADMINISTRATOR

    if settings.database_url is not None:
        return Address.parse(settings.database_url.get_secret_value())
    server = embedded.found(settings.home)
    if server is None:
        return None
    password = ServerFolder(settings.home / "postgres").password()
    return Address(LOOPBACK, server.port, settings.database_name, ADMINISTRATOR, password, {"sslmode": "disable"}, embedded=True)
