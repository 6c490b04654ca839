"""The five roles of a database, each with the least power its work needs, and a random password of its own.

=========  ===========================================================================================================
owner      owns the schemas; runs the migrations and nothing else
writer     inserts what was collected and computed; opens agent sessions; temporary tables for COPY
reader     reads everything but tokens and Dagster's tables: quality, reports
agent      what its grants and the token of its session show, and its own schema; seconds a statement; no temporary tables
dagster    Dagster's own storage, schema ``dagster``, and nothing else
=========  ===========================================================================================================

No password follows from another or from the administrator's (``credentials`` keeps them).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import psycopg
from psycopg import sql

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.dagster_schema import hand_over_dagster
from omc_infra.postgres.powers import restrict_functions

if TYPE_CHECKING:
    from sqlalchemy import Connection

Role = Literal["owner", "writer", "reader", "agent", "dagster"]
ROLES: tuple[Role, ...] = get_args(Role)
LIMITED: tuple[Role, ...] = ("reader", "agent")
"""Roles whose statements have a time limit."""
OLDEST_VERSION = 15  # the first whose public schema isn't writable by everybody
_IDENTIFIER_LIMIT_BYTES = 63
_ROLES_LOCK = 0x6F6D6301  # "omc" and a number: advisory locks share one space
_ATTRIBUTES = sql.SQL("LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")


@dataclass(frozen=True)
class RoleNames:
    """The names of one database's roles as SQL writes them, quoted where they must be."""

    owner: str
    writer: str
    reader: str
    agent: str
    dagster: str


def role_name(database: str, role: Role) -> str:
    """Return the plain name of one role.

    Raises:
        ConfigurationError: The database's name is too long to make it.
    """
    name = f"{database}_{role}"
    if len(name.encode()) > _IDENTIFIER_LIMIT_BYTES:
        raise ConfigurationError(
            f"database name {database!r} is too long: with '_{role}' it must have at most {_IDENTIFIER_LIMIT_BYTES} bytes"
        )
    return name


def role_names(connection: Connection) -> RoleNames:
    """Return the role names of the database a SQLAlchemy connection is in; a migration passes ``op.get_bind()``."""
    from sqlalchemy import text

    database = connection.execute(text("SELECT current_database()")).scalar_one()
    quote = connection.dialect.identifier_preparer.quote
    return RoleNames(**{role: quote(role_name(database, role)) for role in ROLES})


def derived_password(secret: str, database: str, role: Role) -> str:
    """Return the password a role had before each had a random one: it followed from the administrator's.

    Only used to recognize such roles as ours, once; they then get a random password.
    """
    return hmac.new(secret.encode(), f"omc role {role_name(database, role)}".encode(), hashlib.sha256).hexdigest()


def ensure_roles(
    admin: psycopg.Connection[Any],
    password_of: Callable[[Role, bool], str],
    logs_in: Callable[[Role], bool],
    limits_s: Mapping[Role, float],
) -> None:
    """Make the roles that are missing, set recorded passwords again where they no longer fit, and reset settings and grants.

    Safe to repeat, and to run in several processes at once. A role may change its own password and its own settings; after this
    both are what they should be.

    Args:
        admin: Connection of the administrator to the database, committed here.
        password_of: Return the recorded password of a role; the flag says whether the server has the role.
        logs_in: Tells whether a role can log in with its recorded password.
        limits_s: Seconds a statement may take, for roles with a limit.

    Raises:
        ConfigurationError: The administrator lacks a right, or the server is too old.
    """
    database = admin.info.dbname
    if admin.info.server_version < OLDEST_VERSION * 10_000:
        raise ConfigurationError(
            f"OMC_DATABASE_URL: PostgreSQL {admin.info.server_version // 10_000} is too old; OMC needs {OLDEST_VERSION} or later"
        )
    try:
        with admin.transaction():
            admin.execute("SELECT pg_advisory_xact_lock(%s)", [_ROLES_LOCK])
            for role in ROLES:
                exists = _has_role(admin, role_name(database, role))
                password = password_of(role, exists)
                if not (exists and logs_in(role)):
                    set_password(admin, role_name(database, role), password)
            _grant(admin, database, limits_s)
            hand_over_dagster(admin, *(role_name(database, role) for role in ("owner", "writer", "dagster")))
            _let_signal(admin, database)
            restrict_functions(admin, [role_name(database, role) for role in ("owner", "writer", "dagster")])
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"OMC_DATABASE_URL: user {admin.info.user!r} must own database {database!r} and have CREATEROLE: {error.diag.message_primary}"
        ) from error


def set_password(admin: psycopg.Connection[Any], name: str, password: str) -> None:
    """Give a role a password, making the role where it is missing."""
    # The verifier is computed here: a password in a statement would end up in the server's log when that statement fails.
    verifier = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    exists = _has_role(admin, name)
    statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}") if exists else sql.SQL("CREATE ROLE {} {} PASSWORD {}")
    parts = [sql.Identifier(name), sql.Literal(verifier)] if exists else [sql.Identifier(name), _ATTRIBUTES, sql.Literal(verifier)]
    admin.execute(statement.format(*parts))


def _let_signal(admin: psycopg.Connection[Any], database: str) -> None:
    """Let an administrator who is no superuser end statements of the limited roles: it must have their rights."""
    row = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if row and not row[0]:
        names = sql.SQL(", ").join(sql.Identifier(role_name(database, role)) for role in LIMITED)
        admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(names))


def _has_role(admin: psycopg.Connection[Any], name: str) -> bool:
    return admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None


def _grant(admin: psycopg.Connection[Any], database: str, limits_s: Mapping[Role, float]) -> None:
    names = {role: sql.Identifier(role_name(database, role)) for role in ROLES}
    everyone = sql.SQL(", ").join(names.values())
    for statement in (
        "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {database} TO {everyone}",
        "GRANT CREATE, TEMPORARY ON DATABASE {database} TO {owner}",
        "GRANT TEMPORARY ON DATABASE {database} TO {writer}",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        *(f"ALTER ROLE {{{role}}} RESET ALL" for role in ROLES),
        *(f"ALTER ROLE {{{role}}} IN DATABASE {{database}} RESET ALL" for role in ROLES),
        *(f"ALTER ROLE {{{role}}} SET statement_timeout = '{round(seconds * 1000)}ms'" for role, seconds in limits_s.items()),
        *(f"ALTER ROLE {{{role}}} IN DATABASE {{database}} SET timezone = 'UTC'" for role in ROLES),
    ):
        admin.execute(sql.SQL(statement).format(database=sql.Identifier(database), everyone=everyone, **names))
