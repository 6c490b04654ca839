"""Migrate a database to the newest revision: the folders of all packages in one linear chain, as role owner.

A storey names its folder by the entry point group ``omc.migrations``. Alembic is used without ``alembic.ini`` and ``env.py``:
paths may hold anything, and there is one way to run it.

A revision whose module says ``REWRITES_ROWS = True`` is applied to a database that holds something only after a backup (see ``backup``).
Each revision is one transaction with its entry in the version table, so a migration that was killed is simply run again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from omc_infra.clock import utc_now
from omc_infra.errors import ConfigurationError
from omc_infra.postgres.backup import back_up
from omc_infra.postgres.comments import write_comments
from omc_infra.postgres.database import Database

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationInfo
    from alembic.script import Script, ScriptDirectory
    from sqlalchemy import Connection

MIGRATIONS_GROUP = "omc.migrations"
VERSION_SCHEMA = "omc"
REWRITES_ROWS = "REWRITES_ROWS"
_MIGRATION_LOCK = 0x6F6D6302
log = structlog.get_logger()


def migration_folders() -> list[Path]:
    """Find the folders of all storeys without importing them.

    Raises:
        ConfigurationError: A named package doesn't exist, or none is named.
    """
    named = sorted(entry_points(group=MIGRATIONS_GROUP))
    if not named:
        raise ConfigurationError(f"no migrations: the installed package has none under {MIGRATIONS_GROUP!r}; run `make setup`")
    return [_package_folder(entry.name, entry.value) for entry in named]


def _log_backup(file: Path) -> None:
    log.info("made a backup before the migration", file=str(file))


def migrate(
    database: Database,
    folders: Sequence[Path] | None = None,
    *,
    without_backup: bool = False,
    on_backup: Callable[[Path], None] = _log_backup,
) -> list[str]:
    """Apply every revision the database lacks; safe to repeat, and to run in several processes at once.

    Args:
        database: Opened with ``check=False``; its roles are made or mended first.
        folders: Folders of revisions instead of all storeys'.
        without_backup: Apply revisions that rewrite rows without a backup: there is one already, or none is wanted.
        on_backup: Receives the file of a backup when it is whole.

    Returns:
        The revisions applied now, in order; empty where there was nothing to do.

    Raises:
        ConfigurationError: The database holds the other profile's rows, a storey's folder is missing, or rows would be rewritten and
            there is no backup: it can't be written, or the server is the user's own.
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
            rewriting = None if without_backup else _first_that_rewrites(connection, script)
            if rewriting is not None:
                on_backup(back_up(database, rewriting, utc_now()))
            applied = _upgrade(connection, script, database)
            connection.rollback()
            write_comments(connection)
            return applied
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()


def revision(database: Database) -> str | None:
    """Return the newest revision applied, or None where the database was never migrated."""
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


def _first_that_rewrites(connection: Connection, script: ScriptDirectory) -> str | None:
    """Return the first pending revision that rewrites rows, or None where there is none or the database is new."""
    from alembic.runtime.migration import MigrationContext

    applied = MigrationContext.configure(connection, opts={"version_table_schema": VERSION_SCHEMA}).get_current_heads()
    connection.rollback()  # no lock of ours may be in the way of the backup
    if not applied:
        return None
    pending: list[Script] = [step.revision for step in _pending(script, applied)]
    return next((revision.revision for revision in pending if getattr(revision.module, REWRITES_ROWS, False)), None)


def _pending(script: ScriptDirectory, applied: Any) -> Any:
    return script._upgrade_revs("heads", applied)  # what alembic.command.upgrade calls; there is no public name


def _upgrade(connection: Connection, script: ScriptDirectory, database: Database) -> list[str]:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    applied: list[str] = []

    def note(ctx: object, step: MigrationInfo, heads: object, run_args: object) -> None:
        applied.append(str(step.up_revision_id))

    def steps(current: Any, _context: Any) -> Any:
        return _pending(script, current)

    config = Config(attributes={"profile": database.profile})
    with EnvironmentContext(config, script, fn=steps) as environment:
        environment.configure(
            connection=connection, version_table_schema=VERSION_SCHEMA, transaction_per_migration=True, on_version_apply=note
        )
        with environment.begin_transaction():
            environment.run_migrations()
    return applied
