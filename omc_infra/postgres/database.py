"""Open the profile's database; create it if it is missing, and check that it belongs to the profile."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.address import Address, refusal
from omc_infra.postgres.credentials import ACCESS_VARIABLE, CredentialFiles, given_login, new_password, password_variable, url_variable
from omc_infra.postgres.embedded import running, serving
from omc_infra.postgres.folder import LOOPBACK
from omc_infra.postgres.roles import ROLES, Role, derived_password, ensure_roles, role_name, set_password
from omc_infra.settings import Profile, Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

_POOL_SIZE = 4
_POOL_OVERFLOW = 12
_MAINTENANCE_DATABASES = ("postgres", "template1")


class UnrecordedPasswordError(ConfigurationError):
    """A role exists, but its password is not recorded here."""

    advice = (
        "Copy `credentials/` from the home that first used the database, set `OMC_DATABASE_<ROLE>_PASSWORD`, or run `omc db rotate all`."
    )


@dataclass(frozen=True)
class Database:
    """A reachable database of one profile, and the logins of the roles this process may use.

    Attributes:
        address: Where it is; with the administrator's login where this process administers it, else without any.
        logins: Login by role; a role that isn't there is refused.
        limits_s: Seconds a statement may take, for roles with a limit.
        files: Where the roles' passwords are recorded; None for a process that doesn't administer the database.
    """

    name: str
    profile: Profile
    address: Address
    logins: dict[Role, Address] = field(repr=False)
    limits_s: Mapping[Role, float]
    files: CredentialFiles | None = None
    fixed: frozenset[Role] = frozenset()
    """Roles whose logins came by variables."""
    _engines: dict[tuple[int, Role], Engine] = field(default_factory=dict, init=False, repr=False, compare=False)

    def url(self, role: Role, driver: str = "psycopg", *, search_path: str | None = None) -> str:
        """Return the URL of one role; it holds the password.

        Args:
            role: Who logs in.
            driver: ``psycopg``, ``psycopg2`` (Dagster), or empty for the bare form that libpq and psycopg.connect read.
            search_path: Schema in which unqualified names are looked up and made.

        Raises:
            ConfigurationError: This process doesn't have the role's login.
        """
        options = {"options": f"-csearch_path={search_path}"} if search_path else {}
        login = self._login(role)
        return login.url(login.user, login.password, driver, options).render_as_string(hide_password=False)

    def environ(self, roles: Iterable[Role]) -> dict[str, str]:
        """Return the variables that give a child process the logins of exactly these roles.

        The child also needs the settings, ``settings.without_logins().environ()``. It gets neither the administrator's login nor
        anything that another role's could be derived from.

        Raises:
            ConfigurationError: This process doesn't have one of the logins itself.
        """
        given = {ACCESS_VARIABLE: "roles"}
        for role in roles:
            if self.address.embedded:
                given[password_variable(role)] = self._login(role).password or ""
            else:
                given[url_variable(role)] = self.url(role, "")
        return given

    def any_role(self) -> Role:
        """Return a role that this process may log in as, the reader first.

        Raises:
            ConfigurationError: It may use none.
        """
        for role in ("reader", *ROLES):
            if role in self.logins:
                return role
        raise ConfigurationError(f"this process has no login of {self.address}")

    def engine(self, role: Role) -> Engine:
        """Return this process's engine of one role; made at the first call, closed when the database is."""
        key = (os.getpid(), role)  # a fork must not use its parent's connections
        if key not in self._engines:
            from sqlalchemy import create_engine

            self._engines[key] = create_engine(
                self.url(role),
                pool_size=_POOL_SIZE,
                max_overflow=_POOL_OVERFLOW,
                pool_pre_ping=True,
                hide_parameters=role == "agent",  # a session's token is one
                connect_args={"application_name": f"omc {role}"},
            )
        return self._engines[key]

    def connect(self, role: Role) -> psycopg.Connection[Any]:
        """Open a plain psycopg connection of one role, for COPY, NOTIFY and advisory locks; the caller closes it.

        Raises:
            DatabaseUnavailableError: The server doesn't answer.
            ConfigurationError: It refuses the role, or this process doesn't have the role's login.
        """
        login = self._login(role)
        try:
            return login.dial(login.user, login.password, f"omc {role}")
        except psycopg.OperationalError as error:
            raise login.failure(error, login.user) from error

    def ensure_roles(self) -> None:
        """Make the five roles, or set their recorded passwords, settings and grants again, as the administrator.

        Raises:
            ConfigurationError: This process doesn't administer the database, or other passwords are set that aren't recorded here.
        """
        with self.address.administer() as admin:
            ensure_roles(admin, self._password_to_set, self._logs_in, self.limits_s)

    def rotate(self, role: Role) -> None:
        """Give one role a new random password and record it; the others' stay.

        Open connections go on; a process that was started with the old password can't open another.

        Raises:
            ConfigurationError: This process doesn't administer the database, or the role's login comes by a variable.
        """
        if self.files is None or role in self.fixed:
            variable = f"; set {password_variable(role)} or {url_variable(role)} anew" if role in self.fixed else ""
            raise ConfigurationError(f"role {role!r}: its password isn't recorded by this process{variable}")
        password = new_password()
        with self.address.administer() as admin, admin.transaction():
            set_password(admin, role_name(self.name, role), password)
            self.files.record(role, password)  # before the commit: a start after a kill sets what is recorded
        self.logins[role] = replace(self.address, user=role_name(self.name, role), password=password)
        if (engine := self._engines.pop((os.getpid(), role), None)) is not None:
            engine.dispose()

    def marked_profile(self) -> str | None:
        """Return the profile whose rows the database holds as one of our roles sees it, or None where it was never migrated."""
        visible = next((role for role in ("reader", "writer", "agent", "dagster", "owner") if role in self.logins), None)
        return self._marked_as(self.logins[visible]) if visible else None

    def _marked_as(self, login: Address) -> str | None:
        try:
            with login.dial(login.user, login.password, "omc marker") as connection:
                row = connection.execute("SELECT profile FROM omc.marker").fetchone()
        except psycopg.OperationalError as error:
            if refusal(error) in ("login", "rights", "database") and self.address.user:
                return None
            raise login.failure(error, login.user) from error
        except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
            return None
        return str(row[0]) if row else None

    def require_profile(self) -> bool:
        """Return whether the database is migrated and our roles work; raise if it belongs to another profile.

        Raises:
            ConfigurationError: It holds rows of the other profile.
        """
        marked = self.marked_profile()
        seen = marked or (self._marked_as(self.address) if self.address.user else None)  # before any role of it is touched
        if seen not in (None, self.profile):
            raise ConfigurationError(
                f"{self.address} belongs to the profile {seen}, but OMC_PROFILE is {self.profile}; set OMC_PROFILE={seen} or "
                "use another database"
            )
        return marked is not None and set(self.logins) >= (set(ROLES) if self.address.user else set())

    def close(self) -> None:
        """Close the connections this process keeps; the engines may still be used and open new ones."""
        for (pid, _), engine in list(self._engines.items()):
            if pid == os.getpid():
                engine.dispose()

    def _login(self, role: Role) -> Address:
        login = self.logins.get(role)
        if login is None:
            held = ", ".join(self.logins) or "none"
            raise ConfigurationError(f"this process has no login for role {role!r} of {self.address}; its roles: {held}")
        return login

    def _password_to_set(self, role: Role, exists: bool) -> str:
        """Return a role's recorded password; record a random one for a role that is new, or whose password was derived."""
        if role not in self.logins:
            assert self.files is not None  # noqa: S101 only an administrator comes here
            name = role_name(self.name, role)
            recorded = self.files.recorded(role)  # another process may just have done it
            if recorded is None and exists and not self._had_derived_password(role):
                raise UnrecordedPasswordError(
                    f"role {name!r} of {self.address} exists, and its password isn't recorded in {self.files.folder}: copy that folder"
                    f" from where the platform was first started, set {password_variable(role)}, or set new passwords with"
                    " `omc db rotate all`"
                )
            self.logins[role] = replace(self.address, user=name, password=recorded or self.files.ensure(role))
        return self.logins[role].password or ""

    def _had_derived_password(self, role: Role) -> bool:
        secret = self.address.password or (self.files and self.files.older_secret()) or ""
        name = role_name(self.name, role)
        return self._accepts(replace(self.address, user=name, password=derived_password(secret, self.name, role)))

    def _logs_in(self, role: Role) -> bool:
        return self._accepts(self._login(role))

    def _accepts(self, login: Address) -> bool:
        try:
            login.dial(login.user, login.password, "omc roles").close()
        except psycopg.OperationalError as error:
            if refusal(error) == "unreachable":
                raise login.failure(error, login.user) from error
            return refusal(error) == "rights"
        return True


@contextmanager
def open_database(settings: Settings, *, check: bool = True, durable: bool = True) -> Iterator[Database]:
    """Open the profile's database, on the embedded server unless ``OMC_DATABASE_URL`` names another.

    With the administrator's access the database and its roles are made where they are missing. Otherwise the database knows the
    roles that the settings give a login for, and nothing is made. The last to leave stops the embedded server.

    Args:
        settings: Says which database, and which roles.
        check: Whether to refuse a database that isn't migrated.
        durable: False makes an embedded server that this call starts faster and unsafe on power loss; for tests.

    Raises:
        DatabaseUnavailableError: The server doesn't answer or start.
        ConfigurationError: The server refuses us, the database isn't migrated or holds the other profile's rows.
    """
    with _address(settings, durable=durable) as address:
        database = _database(settings, address)
        migrated = database.require_profile()
        if not migrated and address.user:
            _ensure_database(address)
            try:
                database.ensure_roles()
            except UnrecordedPasswordError:
                if check:
                    raise
            migrated = database.require_profile()
        if check and not migrated:
            raise ConfigurationError(f"{address} isn't migrated; run `omc db migrate`")
        try:
            yield database
        finally:
            database.close()


def _database(settings: Settings, address: Address) -> Database:
    given: dict[Role, Address] = {}
    for role in ROLES:
        if (login := given_login(settings, role, address, role_name(address.database, role))) is not None:
            given[role] = login
    logins, files = dict(given), None
    if address.user:
        files = CredentialFiles.of(settings, address)
        for role in ROLES:
            if role not in given and (password := files.recorded(role)) is not None:
                logins[role] = replace(address, user=role_name(address.database, role), password=password)
    limits: dict[Role, float] = {"agent": settings.agent_statement_s, "reader": settings.reader_statement_s}
    return Database(address.database, settings.profile, address, logins, limits, files, frozenset(given))


@contextmanager
def _address(settings: Settings, *, durable: bool) -> Iterator[Address]:
    """Find the server, starting the embedded one; without a user where this process doesn't administer it."""
    if settings.has_roles_only:
        if settings.database_url is not None:
            raise ConfigurationError(f"{ACCESS_VARIABLE}=roles: unset OMC_DATABASE_URL, which holds the administrator's login")
        urls = [url for role in ROLES if (url := getattr(settings, f"database_{role}_url")) is not None]
        if urls:
            yield replace(Address.parse(urls[0].get_secret_value()), user="", password=None)
            return
        with serving(settings.home, durable=durable) as port:
            yield replace(_embedded(settings, port), user="", password=None)
    elif settings.database_url is not None:
        yield Address.parse(settings.database_url.get_secret_value())
    else:
        with running(settings.home, durable=durable) as server:
            yield replace(_embedded(settings, server.port), user=server.user, password=server.password)


def _embedded(settings: Settings, port: int) -> Address:
    values = {"sslmode": "disable"}  # loopback; and a PGSSLMODE of the user's other servers must not reach this one
    return Address(LOOPBACK, port, settings.database_name, "", None, values, embedded=True)


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
    raise ConfigurationError(f"OMC_DATABASE_URL: {address} doesn't exist; create it with owner {address.user!r}")


def _create_database(admin: psycopg.Connection[Any], address: Address) -> None:
    try:
        admin.execute(sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(sql.Identifier(address.database)))
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return  # another process was first
    except psycopg.Error as error:
        raise ConfigurationError(f"OMC_DATABASE_URL: {address} doesn't exist and can't be created: {error.diag.message_primary}") from error
    if address.embedded:
        admin.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
