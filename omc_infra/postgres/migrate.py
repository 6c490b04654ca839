"""Bring a database to the newest revision: all storeys' folders, one linear chain, as the owner role.

A storey names its folder by the entry point group ``omc.migrations``. Alembic is used without ``alembic.ini`` and ``env.py``:
paths may hold anything, and there is one way to run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.database import Database

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationInfo
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

MIGRATIONS_GROUP = "omc.migrations"
VERSION_SCHEMA = "omc"
_MIGRATION_LOCK = 0x6F6D6302


def migration_folders() -> list[Path]:
    """Find the folders of all storeys without importing them.

    Raises:
        ConfigurationError: A named package doesn't exist, or none is named.
    """
    named = sorted(entry_points(group=MIGRATIONS_GROUP))
    if not named:
        raise ConfigurationError(f"no migrations: the installed package names none under {MIGRATIONS_GROUP!r}; run `make setup`")
    return [_package_folder(entry.name, entry.value) for entry in named]


def migrate(database: Database, folders: Sequence[Path] | None = None) -> list[str]:
    """Apply every revision the database lacks; safe to repeat, and to run in several processes at once.

    Args:
        database: Opened with ``check=False``; its roles are made or mended first.
        folders: Folders of revisions instead of all storeys'.

    Returns:
        The revisions applied now, in order; empty where there was nothing to do.

    Raises:
        ConfigurationError: The database holds the other profile's rows, or a storey's folder is missing.
    """
    from sqlalchemy import text

    script = _script(migration_folders() if folders is None else folders)
    database.require_profile()
    database.ensure_roles()
    with database.engine("owner").connect() as connection:
        # Released with the connection, so also by a kill; a transaction's lock would end with the first revision.
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {VERSION_SCHEMA}"))
        connection.commit()
        try:
            return _upgrade(connection, script, database)
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()


def revision(database: Database) -> str | None:
    """Answer the newest revision applied, or None where the database was never migrated."""
    import psycopg

    with database.connect("owner") as connection:
        try:
            row = connection.execute(f"SELECT version_num FROM {VERSION_SCHEMA}.alembic_version").fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return None
    return str(row[0]) if row else None


def _package_folder(name: str, package: str) -> Path:
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"migrations {name!r}: package {package!r} doesn't exist; see the entry points {MIGRATIONS_GROUP!r}")
    return Path(spec.submodule_search_locations[0])


def _script(folders: Sequence[Path]) -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory(folders[0], version_locations=[str(folder) for folder in folders])


def _upgrade(connection: Connection, script: ScriptDirectory, database: Database) -> list[str]:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    applied: list[str] = []

    def note(ctx: object, step: MigrationInfo, heads: object, run_args: object) -> None:
        applied.append(str(step.up_revision_id))

    def steps(current: Any, _context: Any) -> Any:
        return script._upgrade_revs("heads", current)  # what alembic.command.upgrade calls; there is no public name

    config = Config(attributes={"profile": database.profile})
    with EnvironmentContext(config, script, fn=steps) as environment:
        environment.configure(
            connection=connection, version_table_schema=VERSION_SCHEMA, transaction_per_migration=True, on_version_apply=note
        )
        with environment.begin_transaction():
            environment.run_migrations()
    return applied
