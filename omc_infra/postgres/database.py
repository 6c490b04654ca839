"""The profile's database: opened, made where it is missing, and proven to hold the profile's rows before anybody reads one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.address import Address, refusal
from omc_infra.postgres.embedded import running
from omc_infra.postgres.folder import kept_secret
from omc_infra.postgres.roles import ROLES, Role, ensure_roles, role_name, role_password
from omc_infra.settings import Profile, Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

_POOL_SIZE = 4
_POOL_OVERFLOW = 12
_MAINTENANCE_DATABASES = ("postgres", "template1")


@dataclass(frozen=True)
class Database:
    """A reachable database of one profile, and the logins of its four roles."""

    name: str
    profile: Profile
    address: Address
    secret: str = field(repr=False)
    _engines: dict[tuple[int, Role], Engine] = field(default_factory=dict, init=False, repr=False, compare=False)

    def url(self, role: Role, driver: str = "psycopg", *, search_path: str | None = None) -> str:
        """Answer the URL of one role; it holds the password.

        Args:
            role: Who logs in.
            driver: ``psycopg``, ``psycopg2`` (Dagster), or empty for the bare form that libpq and psycopg.connect read.
            search_path: Schema in which unqualified names are looked up and made.
        """
        options = {"options": f"-csearch_path={search_path}"} if search_path else {}
        return self.address.url(role_name(self.name, role), self._password(role), driver, options).render_as_string(hide_password=False)

    def engine(self, role: Role) -> Engine:
        """Answer this process's engine of one role; made at the first call, closed when the database is."""
        key = (os.getpid(), role)  # a fork must not use its parent's connections
        if key not in self._engines:
            from sqlalchemy import create_engine

            self._engines[key] = create_engine(
                self.url(role),
                pool_size=_POOL_SIZE,
                max_overflow=_POOL_OVERFLOW,
                pool_pre_ping=True,
                connect_args={"application_name": f"omc {role}"},
            )
        return self._engines[key]

    def connect(self, role: Role) -> psycopg.Connection[Any]:
        """Open a plain psycopg connection of one role, for COPY, NOTIFY and advisory locks; the caller closes it.

        Raises:
            DatabaseUnavailableError: The server doesn't answer.
            ConfigurationError: It refuses the role.
        """
        try:
            return self._dial(role)
        except psycopg.OperationalError as error:
            raise self.address.failure(error, role_name(self.name, role)) from error

    def ensure_roles(self) -> None:
        """Make the four roles, or mend them, as the administrator."""
        with self.address.administer() as admin:
            ensure_roles(admin, {role: self._password(role) for role in ROLES}, self._logs_in)

    def marked_profile(self) -> str | None:
        """Answer the profile whose rows the database holds as the reader sees it, or None where it was never migrated."""
        return self._marked_as(role_name(self.name, "reader"), self._password("reader"))

    def _marked_as(self, user: str, password: str | None) -> str | None:
        try:
            with self.address.dial(user, password, "omc marker") as connection:
                row = connection.execute("SELECT profile FROM omc.marker").fetchone()
        except psycopg.OperationalError as error:
            if refusal(error) in ("login", "rights", "database"):
                return None
            raise self.address.failure(error, user) from error
        except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
            return None
        return str(row[0]) if row else None

    def require_profile(self) -> bool:
        """Tell whether the database was migrated and our roles work, and refuse one that holds another profile's rows.

        Raises:
            ConfigurationError: It holds rows of the other profile.
        """
        marked = self.marked_profile()
        seen = marked or self._marked_as(self.address.user, self.address.password)  # before any role of it is touched
        if seen not in (None, self.profile):
            raise ConfigurationError(
                f"{self.address} holds {seen} rows, and OMC_PROFILE is {self.profile}; set OMC_PROFILE={seen} or use another database"
            )
        return marked is not None

    def close(self) -> None:
        """Close the connections this process keeps; the engines may still be used and open new ones."""
        for (pid, _), engine in list(self._engines.items()):
            if pid == os.getpid():
                engine.dispose()

    def _password(self, role: Role) -> str:
        return role_password(self.secret, self.name, role)

    def _dial(self, role: Role) -> psycopg.Connection[Any]:
        return self.address.dial(role_name(self.name, role), self._password(role), f"omc {role}")

    def _logs_in(self, role: Role) -> bool:
        try:
            self._dial(role).close()
        except psycopg.OperationalError as error:
            if refusal(error) == "unreachable":
                raise self.address.failure(error, role_name(self.name, role)) from error
            return refusal(error) == "rights"
        return True


@contextmanager
def open_database(settings: Settings, *, check: bool = True, durable: bool = True) -> Iterator[Database]:
    """Open the profile's database, on the embedded server unless ``OMC_DATABASE_URL`` names another.

    The database and its roles are made where they are missing. The last to leave stops the embedded server.

    Args:
        settings: Says which database.
        check: Whether to refuse a database that isn't migrated.
        durable: False makes an embedded server that this call starts faster and unsafe on power loss; for tests.

    Raises:
        DatabaseUnavailableError: The server doesn't answer or start.
        ConfigurationError: The server refuses us, the database isn't migrated or holds the other profile's rows.
    """
    with _address(settings, durable=durable) as (address, secret):
        database = Database(address.database, settings.profile, address, secret)
        migrated = database.require_profile()
        if not migrated:
            _ensure_database(address)
            database.ensure_roles()
            migrated = database.require_profile()
        if check and not migrated:
            raise ConfigurationError(f"{address} isn't migrated; run `omc db migrate`")
        try:
            yield database
        finally:
            database.close()


@contextmanager
def _address(settings: Settings, *, durable: bool) -> Iterator[tuple[Address, str]]:
    if settings.database_url is not None:
        address = Address.parse(settings.database_url.get_secret_value())
        yield address, address.password or kept_secret(settings.home / "role_secret")
        return
    with running(settings.home, durable=durable) as server:
        plain = {"sslmode": "disable"}  # loopback; and a PGSSLMODE of the user's other servers must not reach this one
        address = Address(server.host, server.port, settings.database_name, server.user, server.password, plain, embedded=True)
        yield address, server.password


def _ensure_database(address: Address) -> None:
    """Make the database where it is missing, if we may."""
    try:
        address.dial(address.user, address.password, "omc administrator").close()
    except psycopg.OperationalError as error:
        if refusal(error) != "database":
            raise address.failure(error, address.user) from error
        with _maintenance(address) as admin:
            _create_database(admin, address)


def _maintenance(address: Address) -> psycopg.Connection[Any]:
    for name in _MAINTENANCE_DATABASES:
        try:
            connection = address.at(name).dial(address.user, address.password, "omc administrator")
        except psycopg.OperationalError:
            continue
        connection.autocommit = True
        return connection
    raise ConfigurationError(f"OMC_DATABASE_URL: there is no {address}; create it, owned by {address.user!r}")


def _create_database(admin: psycopg.Connection[Any], address: Address) -> None:
    try:
        admin.execute(sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(sql.Identifier(address.database)))
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return  # another process was first
    except psycopg.Error as error:
        raise ConfigurationError(f"OMC_DATABASE_URL: there is no {address}, and it can't be made: {error.diag.message_primary}") from error
    if address.embedded:
        admin.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
