"""Make a backup of a database as it is at one moment, while it is in use."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from omc_infra.backups.archive import Manifest, write_archive
from omc_infra.backups.content import digests
from omc_infra.errors import ConfigurationError, MachineError
from omc_infra.postgres.backup import ProgramFailedError, run_program, where_arguments
from omc_infra.postgres.database import Database
from omc_infra.postgres.migrate import revision
from omc_infra.private import private_folder

if TYPE_CHECKING:
    from pyrage import x25519

SUFFIX = ".omcbackup"


@dataclass(frozen=True)
class MadeBackup:
    """A backup's file and what it holds."""

    file: Path
    manifest: Manifest
    size_bytes: int


def make_backup(database: Database, folder: Path, key: x25519.Recipient, configuration: Path | None, now: datetime) -> MadeBackup:
    """Write a backup into a folder; the file is there under its name when it is whole.

    Args:
        database: Opened with the administrator's access.
        folder: Made where it is missing.
        key: Encrypts it.
        configuration: The ``omc.toml`` in use, or None.
        now: Names the file, aware.

    Raises:
        ConfigurationError: The database isn't migrated, or pg_dump fails.
        MachineError: The disk is full, or the folder can't be written.
    """
    at = revision(database)
    if at is None:
        raise ConfigurationError(f"{database.address} isn't migrated; there is nothing to back up")
    name = f"{database.name}-{now:%Y%m%dT%H%M%SZ}{SUFFIX}"
    try:
        private_folder(folder)
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=folder) as work:
            dump, unfinished = Path(work, "dump"), Path(work, name)
            manifest = _dump(database, dump, at, configuration, now)
            write_archive(unfinished, manifest, dump, configuration, key)
            (folder / name).hardlink_to(unfinished)  # fails where a file of this name is there; a rename would replace it
    except OSError as error:
        raise MachineError(f"{folder}: {error.strerror or error}") from error
    except ProgramFailedError as error:
        raise ConfigurationError(f"no backup of {database.address}: {error}") from error
    return MadeBackup(folder / name, manifest, (folder / name).stat().st_size)


def _dump(database: Database, dump: Path, at: str, configuration: Path | None, now: datetime) -> Manifest:
    """Dump one snapshot of the database, and take the digests of the same one."""
    with database.address.administer() as admin, admin.transaction():
        admin.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = admin.execute("SELECT pg_export_snapshot(), current_setting('server_version')").fetchone()
        snapshot, server = row or ("", "")
        arguments = ("--format=custom", f"--snapshot={snapshot}", f"--file={dump}", "--no-password")
        run_program("pg_dump", *arguments, *where_arguments(database.address), password=database.address.password)
        made_at = now.isoformat(timespec="seconds")
        return Manifest(database.profile, database.name, at, made_at, str(server), digests(admin), configuration is not None)
