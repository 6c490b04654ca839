"""``omc db``: the database of the profile: migrate it, show its URL and state, stop it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

from omc_infra.cli import emit, json_option
from omc_infra.errors import BadInputError, ConfigurationError, DatabaseUnavailableError
from omc_infra.logs import redact
from omc_infra.settings import Settings, load_settings
from omc_infra.terminal import say

_ROLE = click.Choice(["owner", "writer", "reader", "agent", "dagster"])


@click.group()
def db() -> None:
    """Manage the profile's database."""


@db.command("migrate")
@click.option("--without-backup", is_flag=True, help="Rewrite rows without making a backup first.")
@json_option
def migrate_command(without_backup: bool, as_json: bool) -> None:
    """Apply all pending migrations. Make a backup before a migration that rewrites rows."""
    from omc_infra.postgres.database import open_database
    from omc_infra.postgres.migrate import migrate, revision

    settings = load_settings()
    backups: list[Path] = []
    with open_database(settings, check=False) as database:
        applied = migrate(database, without_backup=without_backup, on_backup=backups.append)
        document = {
            "profile": settings.profile, "database": database.name, "applied": applied, "revision": revision(database),
            "backup": str(backups[0]) if backups else None,
        }  # fmt: skip
    done = f"applied {', '.join(applied)}" if applied else "nothing to apply"
    done += f"; backup in {backups[0]}" if backups else ""
    _answer(document, as_json, f"{document['database']} ({settings.profile}): {done}; at revision {document['revision']}")


@db.command("url")
@click.option("--role", type=_ROLE, default="reader", show_default=True, help="Role to log in with.")
@click.option(
    "--driver", type=click.Choice(["", "psycopg", "psycopg2"]), default="", help="Driver of an SQLAlchemy URL. Default: a libpq URL."
)
@json_option
def url_command(role: str, driver: str, as_json: bool) -> None:
    """Print the database's URL, including the role's password."""
    from omc_infra.postgres.database import open_database
    from omc_infra.postgres.roles import Role

    settings = load_settings()
    is_running = _is_running(settings)
    with open_database(settings, check=False) as database:
        url = database.url(cast("Role", role), driver)
    if not is_running:
        say("omc: the server isn't running now; its address stays the same", err=True)
    _answer({"profile": settings.profile, "role": role, "url": url, "running": is_running}, as_json, url)


@db.command("rotate")
@click.argument("role", type=click.Choice([*_ROLE.choices, "all"]))
@click.option(
    "--force",
    is_flag=True,
    help="Do it even if a platform runs on the database. That platform can then open no new connection for the role.",
)
@json_option
def rotate_command(role: str, force: bool, as_json: bool) -> None:
    """Give one database role, or all of them, a new random password.

    Refused while a platform runs on the database: its runs would fail until it is started again.
    """
    from omc_infra.postgres.database import open_database
    from omc_infra.postgres.roles import Role
    from omc_infra.services.holder import read_holder

    settings = load_settings()
    with open_database(settings, check=False) as database:
        if not force and (holder := read_holder(database)):
            raise BadInputError(f"{holder}; stop it first; or use --force, then restart it")
        rotated = list(_ROLE.choices) if role == "all" else [role]
        for each in rotated:
            database.rotate(cast("Role", each))
    line = f"{database.name} ({settings.profile}): new password for {', '.join(rotated)}; restart processes that use the old one"
    _answer({"profile": settings.profile, "database": database.name, "rotated": rotated}, as_json, line)


@db.command("status", epilog="Exit code 1: the server isn't running.")
@json_option
def status_command(as_json: bool) -> None:
    """Show whether the database server is running. Starts nothing."""
    settings = load_settings()
    document = _external_status(settings) if settings.database_url else _embedded_status(settings)
    where = f"{document['server']} PostgreSQL at {document['address']}" if document["address"] else f"{document['server']} PostgreSQL"
    why = f": {document['reason']}" if document["reason"] else ""
    _answer(document, as_json, f"{where}: {'running' if document['running'] else 'not running'} ({settings.profile}){why}")
    if not document["running"]:
        raise click.exceptions.Exit(1)


@db.command("stop", epilog="Exit code 1: the server is in use.")
@click.option("--force", is_flag=True, help="Stop it even if it is in use.")
@json_option
def stop_command(force: bool, as_json: bool) -> None:
    """Stop the embedded server."""
    from omc_infra.postgres import embedded

    settings = load_settings()
    if settings.database_url:
        raise ConfigurationError("OMC_DATABASE_URL is set: OMC doesn't manage that server and can't stop it")
    was_running = embedded.found(settings.home) is not None
    stopped = embedded.stop(settings.home, force=force)
    done = "stopped" if was_running else "not running"
    _answer({"stopped": stopped, "was_running": was_running}, as_json, done if stopped else "in use; stop its users first, or use --force")
    if not stopped:
        raise click.exceptions.Exit(1)


def _embedded_status(settings: Settings) -> dict[str, Any]:
    from omc_infra.postgres import embedded
    from omc_infra.postgres.folder import LOOPBACK

    if settings.home.exists() and not settings.home.is_dir():
        raise ConfigurationError(f"OMC_HOME: {settings.home} is not a folder")
    server = embedded.found(settings.home)
    return {
        "profile": settings.profile, "server": "embedded", "running": server is not None, "database": settings.database_name,
        "address": f"{LOOPBACK}:{server.port}" if server else None, "pid": server.pid if server else None,
        "folder": str(settings.home / "postgres"), "reason": None,
    }  # fmt: skip


def _external_status(settings: Settings) -> dict[str, Any]:
    from omc_infra.postgres.address import Address
    from omc_infra.postgres.database import open_database

    if settings.database_url is None:
        raise ConfigurationError("OMC_DATABASE_URL isn't set")
    address = Address.parse(settings.database_url.get_secret_value())
    document: dict[str, Any] = {
        "profile": settings.profile, "server": "external", "running": True, "database": address.database,
        "address": f"{address.host}:{address.port}", "pid": None, "folder": None, "reason": None,
    }  # fmt: skip
    try:
        address.administer().close()
        with open_database(settings, check=False):  # refuses the other profile's rows
            pass
    except DatabaseUnavailableError as error:
        document.update(running=False, reason=redact(str(error)))
    return document


def _is_running(settings: Settings) -> bool:
    from omc_infra.postgres import embedded

    return settings.database_url is not None or embedded.found(settings.home) is not None


def _answer(document: dict[str, Any], as_json: bool, line: str) -> None:
    if as_json:
        emit(document)
    else:
        say(line)
