"""Address and administrator of a database; connection errors become one-line errors here, without the password."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict

from omc_infra.errors import ConfigurationError, DatabaseUnavailableError, PermanentError, RetryableError

if TYPE_CHECKING:
    from sqlalchemy import URL

CONNECT_TIMEOUT_S = 5
_WAKING_TIMEOUT_S = 15.0
_POLL_S = 0.1
_DEFAULT_PORT = 5432
_OWN = {"host", "port", "dbname", "user", "password"}

Refusal = Literal["login", "database", "rights", "waking", "unreachable"]

# PostgreSQL says why it refuses a connection in words only; where they are in another language, the line still shows them.
_WORDS: tuple[tuple[str, Refusal], ...] = (
    ("password authentication failed", "login"),
    ("no password supplied", "login"),
    ("is not permitted to log in", "login"),
    ("authentication failed", "login"),
    ("permission denied for database", "rights"),
    ("no pg_hba.conf entry", "rights"),
    ("starting up", "waking"),
    ("shutting down", "waking"),
    ("in recovery mode", "waking"),
    ("not yet accepting connections", "waking"),
)


@dataclass(frozen=True)
class Address:
    """One database of one server, and its administrator's login; ``options`` are further libpq parameters, as ``sslmode``."""

    host: str
    port: int
    database: str
    user: str
    password: str | None = field(repr=False)
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    embedded: bool = False

    @classmethod
    def parse(cls, url: str, variable: str = "OMC_DATABASE_URL") -> Address:
        """Read the URL of a server of one's own; ``variable`` names where it came from.

        Raises:
            ConfigurationError: It is no such URL; the message shows no part of it, any may be a piece of the password.
        """
        hint = "percent-encode special characters of the password (@ is %40, / is %2F, : is %3A)"
        try:
            parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
            port = int(parts.get("port") or _DEFAULT_PORT)
        except (psycopg.ProgrammingError, ValueError):
            raise ConfigurationError(f"{variable}: not a PostgreSQL URL; {hint}") from None
        if "@" in parts.get("host", "") or not parts.get("user") or "," in parts.get("host", ""):
            raise ConfigurationError(f"{variable}: must have one user and one host; {hint}")
        rest = {name: value for name, value in parts.items() if name not in _OWN}
        return cls(parts.get("host", "localhost"), port, parts["dbname"], parts["user"], parts.get("password"), rest)

    def __str__(self) -> str:
        """Say where it is, without any secret."""
        return f"database {self.database!r} at {self.host}:{self.port}"

    def at(self, database: str) -> Address:
        """Return another database of the same server."""
        return replace(self, database=database)

    def url(self, user: str, password: str | None, driver: str, options: Mapping[str, str]) -> URL:
        """Return the URL for one login; ``driver`` is psycopg, psycopg2 or empty for libpq's own form."""
        from sqlalchemy import URL

        name = f"postgresql+{driver}" if driver else "postgresql"
        query = {"connect_timeout": str(CONNECT_TIMEOUT_S), **self.options, **options}
        if self.host.startswith("/"):  # the folder of a Unix socket has no place between @ and /
            return URL.create(name, user, password, database=self.database, query={**query, "host": self.host, "port": str(self.port)})
        return URL.create(name, user, password, self.host, self.port, self.database, query)

    def dial(self, user: str, password: str | None, application_name: str) -> psycopg.Connection[Any]:
        """Connect once, or until a server that is just starting or recovering lets us in.

        Raises:
            psycopg.OperationalError: It doesn't work; ``refusal`` says why, ``failure`` gives it a name of ours.
        """
        deadline = time.monotonic() + _WAKING_TIMEOUT_S
        parameters: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S, **self.options, "application_name": application_name}
        while True:
            try:
                return psycopg.connect(host=self.host, port=self.port, dbname=self.database, user=user, password=password, **parameters)
            except psycopg.OperationalError as error:
                if refusal(error) != "waking" or time.monotonic() > deadline:
                    raise
            time.sleep(_POLL_S)

    def administer(self) -> psycopg.Connection[Any]:
        """Connect as the administrator.

        Raises:
            DatabaseUnavailableError: The server doesn't answer.
            ConfigurationError: It refuses.
        """
        if not self.user:
            raise ConfigurationError(f"this process can't administer {self}: it has the logins of its roles only")
        try:
            return self.dial(self.user, self.password, "omc administrator")
        except psycopg.OperationalError as error:
            raise self.failure(error, self.user) from error

    def failure(self, error: psycopg.OperationalError, user: str) -> PermanentError | RetryableError:
        """Give a refused connection a name of ours and one line."""
        where = f"{'the embedded PostgreSQL' if self.embedded else 'OMC_DATABASE_URL'}: "
        said = self._without_password(_last_words(error))
        match refusal(error):
            case "login":
                return ConfigurationError(f"{where}{self.host}:{self.port} rejects the login of {user!r}; check user and password")
            case "database":
                return ConfigurationError(f"{where}{self} doesn't exist")
            case "rights":
                return ConfigurationError(f"{where}{user!r} may not connect to {self}: {said}")
            case "waking" | "unreachable":
                return DatabaseUnavailableError(f"{where}{self.host}:{self.port} does not answer: {said}")

    def _without_password(self, text: str) -> str:
        return text.replace(self.password, "[redacted]") if self.password else text


def refusal(error: psycopg.OperationalError) -> Refusal:
    """Say why a connection failed."""
    words = str(error)
    if 'database "' in words and "does not exist" in words:
        return "database"
    if 'role "' in words and "does not exist" in words:
        return "login"
    return next((kind for phrase, kind in _WORDS if phrase in words), "unreachable")


def _last_words(error: Exception) -> str:
    """Return what the server or the system said, without the preamble on where it was said."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line.rsplit("failed: ", 1)[-1].removeprefix("FATAL:").strip()
