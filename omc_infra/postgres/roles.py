"""The four roles of a database, each with the least power its work needs.

=========  ===========================================================================================================
owner      owns the schemas; runs the migrations and nothing else
writer     inserts what was collected and computed; temporary tables for COPY; Dagster's own tables
reader     reads everything: quality, reports
agent      what its grants and row-level security show, and its own schema; five seconds a statement; no temporary tables
=========  ===========================================================================================================

Their passwords are derived from the administrator's, so nothing more has to be kept, and one that leaks opens no other.
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

if TYPE_CHECKING:
    from sqlalchemy import Connection

Role = Literal["owner", "writer", "reader", "agent"]
ROLES: tuple[Role, ...] = get_args(Role)
AGENT_STATEMENT_TIMEOUT_S = 5
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


def role_name(database: str, role: Role) -> str:
    """Answer the plain name of one role.

    Raises:
        ConfigurationError: The database's name is too long to make it.
    """
    name = f"{database}_{role}"
    if len(name.encode()) > _IDENTIFIER_LIMIT_BYTES:
        raise ConfigurationError(f"database name {database!r} is too long: with '_{role}' it must fit into {_IDENTIFIER_LIMIT_BYTES} bytes")
    return name


def role_names(connection: Connection) -> RoleNames:
    """Answer the role names of the database a SQLAlchemy connection is in; a migration passes ``op.get_bind()``."""
    from sqlalchemy import text

    database = connection.execute(text("SELECT current_database()")).scalar_one()
    quote = connection.dialect.identifier_preparer.quote
    return RoleNames(**{role: quote(role_name(database, role)) for role in ROLES})


def role_password(secret: str, database: str, role: Role) -> str:
    """Derive the password of one role from the administrator's secret."""
    return hmac.new(secret.encode(), f"omc role {role_name(database, role)}".encode(), hashlib.sha256).hexdigest()


def ensure_roles(admin: psycopg.Connection[Any], passwords: Mapping[Role, str], logs_in: Callable[[Role], bool]) -> None:
    """Make the roles that are missing, mend passwords that no longer fit, and grant each what the database itself gives.

    Safe to repeat, and to run in several processes at once.

    Args:
        admin: Connection of the administrator to the database, committed here.
        passwords: Password of each role.
        logs_in: Tells whether a role can log in with its password.

    Raises:
        ConfigurationError: The administrator lacks a right, or the server is too old.
    """
    database = admin.info.dbname
    if admin.info.server_version < OLDEST_VERSION * 10_000:
        raise ConfigurationError(
            f"OMC_DATABASE_URL: PostgreSQL {admin.info.server_version // 10_000} is too old, {OLDEST_VERSION} or later is needed"
        )
    try:
        with admin.transaction():
            admin.execute("SELECT pg_advisory_xact_lock(%s)", [_ROLES_LOCK])
            for role in ROLES:
                _ensure_role(admin, role_name(database, role), passwords[role], works=logs_in(role))
            _grant(admin, database)
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"OMC_DATABASE_URL: user {admin.info.user!r} must own database {database!r} and have CREATEROLE: {error.diag.message_primary}"
        ) from error


def _ensure_role(admin: psycopg.Connection[Any], name: str, password: str, *, works: bool) -> None:
    if works:
        return
    # The verifier is computed here: a password in a statement would end up in the server's log when that statement fails.
    verifier = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    exists = admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None
    statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}") if exists else sql.SQL("CREATE ROLE {} {} PASSWORD {}")
    parts = [sql.Identifier(name), sql.Literal(verifier)] if exists else [sql.Identifier(name), _ATTRIBUTES, sql.Literal(verifier)]
    admin.execute(statement.format(*parts))


def _grant(admin: psycopg.Connection[Any], database: str) -> None:
    names = {role: sql.Identifier(role_name(database, role)) for role in ROLES}
    everyone = sql.SQL(", ").join(names.values())
    for statement in (
        "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {database} TO {everyone}",
        "GRANT CREATE, TEMPORARY ON DATABASE {database} TO {owner}",
        "GRANT TEMPORARY ON DATABASE {database} TO {writer}",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        f"ALTER ROLE {{agent}} SET statement_timeout = '{AGENT_STATEMENT_TIMEOUT_S}s'",
        *(f"ALTER ROLE {{{role}}} IN DATABASE {{database}} SET timezone = 'UTC'" for role in ROLES),
    ):
        admin.execute(sql.SQL(statement).format(database=sql.Identifier(database), everyone=everyone, **names))
