"""Restore a backup into an empty database, whole or not at all, and compare every table with what the backup says."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omc_infra.backups.archive import CONFIGURATION, DUMP, Manifest, read_archive
from omc_infra.backups.content import digests
from omc_infra.errors import BadInputError, ConfigurationError
from omc_infra.postgres.backup import ProgramFailedError, run_program, where_arguments
from omc_infra.postgres.database import Database

if TYPE_CHECKING:
    from pyrage import x25519

_TABLES = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
"""


@dataclass(frozen=True)
class OpenedBackup:
    """A decrypted backup in a folder of its own."""

    manifest: Manifest
    folder: Path


@contextmanager
def opened_backup(file: Path, key: x25519.Identity, near: Path) -> Iterator[OpenedBackup]:
    """Decrypt a backup into a private folder below ``near``, which goes when the block ends.

    Raises:
        BadInputError: As ``read_archive``.
    """
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=near) as folder:
        yield OpenedBackup(read_archive(file, key, Path(folder)), Path(folder))


def restore_into(database: Database, backup: OpenedBackup) -> None:
    """Write a backup into a database without tables, in one transaction, and compare each table afterwards.

    Raises:
        BadInputError: The backup is of another profile or database, or the database holds tables.
        ConfigurationError: pg_restore fails; nothing was written.
        RestoredDifferentlyError: A table isn't what the backup says.
    """
    manifest = backup.manifest
    if (manifest.profile, manifest.database) != (database.profile, database.name):
        raise BadInputError(f"the backup is of {manifest.database!r} ({manifest.profile}), not of {database.name!r} ({database.profile})")
    with database.address.administer() as admin:
        row = admin.execute(_TABLES).fetchone()
    if row and row[0]:
        raise BadInputError(f"{database.address} holds {row[0]} tables: a backup is restored into an empty database only")
    database.ensure_roles()
    arguments = ("--exit-on-error", "--single-transaction", "--no-password", *where_arguments(database.address))
    try:
        run_program("pg_restore", *arguments, str(backup.folder / DUMP), password=database.address.password)
    except ProgramFailedError as error:
        raise ConfigurationError(f"{database.address}: nothing was restored: {error}") from error
    different = differences(database, manifest)
    if different:
        raise RestoredDifferentlyError(
            f"{database.address}: {len(different)} tables aren't as they were backed up: {', '.join(different[:5])}"
        )


def differences(database: Database, manifest: Manifest) -> list[str]:
    """Return the tables whose rows aren't those of a backup."""
    with database.address.administer() as admin, admin.transaction():
        found = digests(admin)
    return sorted(name for name in {*found, *manifest.tables} if found.get(name) != manifest.tables.get(name))


def restore_configuration(backup: OpenedBackup, file: Path) -> bool:
    """Put the backup's ``omc.toml`` in place where there is none; return whether it was."""
    if not backup.manifest.has_configuration or file.exists():
        return False
    shutil.copyfile(backup.folder / CONFIGURATION, file)
    return True


class RestoredDifferentlyError(ConfigurationError):
    """A restored table isn't what the backup says."""

    advice = "Don't use the restored database. Restore another backup into a new one, and keep this file for looking into it."
