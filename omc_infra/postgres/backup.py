"""Backup before a migration that rewrites rows. OMC makes it for the embedded server; on another server the user must make it.

The file is ``<home>/backups/<database>-before-<revision>-<UTC time>.dump`` in ``pg_dump``'s custom format, readable by its owner only.
It gets that name when it is complete and ``pg_restore`` can list it; ``docs/how-to/migrate.md`` says how to restore it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.address import Address
from omc_infra.postgres.binaries import installed_binaries
from omc_infra.postgres.database import Database
from omc_infra.postgres.folder import ServerFolder

FOLDER = "backups"
WITHOUT = "omc db migrate --without-backup"
_UNFINISHED = ".partial"


def back_up(database: Database, revision: str, now: datetime, *, without: str = WITHOUT) -> Path:
    """Back up a database of the embedded server before a revision rewrites its rows.

    Args:
        database: Whole, with its schemas and rows; roles are not part of the file.
        revision: The first revision that rewrites rows.
        now: Names the file, aware.
        without: The command that rewrites the rows without a backup, for the messages.

    Returns:
        The finished file.

    Raises:
        ConfigurationError: The file can't be written, the disk is full for instance; or the server is the user's own, and then the message
            is the command that makes a backup of it.
    """
    if not database.address.embedded:
        raise ConfigurationError(
            f"{database.address}: revision {revision} rewrites rows; first make a backup, "
            f"`{dump_command(database.address, revision)}`, then run `{without}`"
        )
    server = _server_folder(database)
    folder = server.path.parent / FOLDER
    name = f"{database.name}-before-{revision}-{now:%Y%m%dT%H%M%SZ}.dump"
    unfinished = folder / f"{name}.{os.getpid()}{_UNFINISHED}"
    try:
        _prepare(folder, server, database.name)
        _dump(database.address, unfinished)
        _list(unfinished)
        server.claim(unfinished)
        unfinished.rename(folder / name)
        _sync(folder)
    except (OSError, ProgramFailedError) as error:
        with suppress(OSError):
            unfinished.unlink()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(
            f"{folder}: the backup before revision {revision}, which rewrites rows, failed: {reason}; free some disk space, or "
            f"run `{without}`"
        ) from error
    return folder / name


def dump_command(address: Address, revision: str) -> str:
    """Return the line for a shell by which a person backs up a server of their own; it asks for the password."""
    where = {"host": address.host, "port": str(address.port), "user": address.user, "dbname": address.database}
    where |= {name: value for name, value in address.options.items() if name in ("sslmode", "sslrootcert")}
    conninfo = " ".join(f"{name}={value}" for name, value in where.items())
    return shlex.join(["pg_dump", "--format=custom", f"--file={address.database}-before-{revision}.dump", f"--dbname={conninfo}"])


class ProgramFailedError(Exception):
    """A program of PostgreSQL ended with an error; the message is its reason."""


def _server_folder(database: Database) -> ServerFolder:
    with database.address.administer() as admin:
        row = admin.execute("SHOW data_directory").fetchone()
    if row is None:
        raise ConfigurationError(f"{database.address}: the server doesn't report its data folder")
    return ServerFolder(Path(row[0]).parent)


def _prepare(folder: Path, server: ServerFolder, database: str) -> None:
    """Make the folder, and remove what a killed backup of this database left; the migration lock is held, so none is being made."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    server.claim(folder)
    for left in folder.iterdir():
        if re.fullmatch(rf"{re.escape(database)}-before-.*{re.escape(_UNFINISHED)}", left.name):
            left.unlink()


def _dump(address: Address, file: Path) -> None:
    arguments = ("--format=custom", f"--file={file}", "--no-password", *where_arguments(address))
    run_program("pg_dump", *arguments, password=address.password)


def _list(file: Path) -> None:
    if not run_program("pg_restore", "--list", str(file)).strip():
        raise ProgramFailedError("the file that pg_dump wrote is empty")


def where_arguments(address: Address) -> tuple[str, ...]:
    """Return the arguments by which a program of PostgreSQL finds a database; the password goes by its environment."""
    return (f"--host={address.host}", f"--port={address.port}", f"--username={address.user}", f"--dbname={address.database}")


def run_program(program: str, *arguments: str, password: str | None = None) -> str:
    """Run one of PostgreSQL's programs and return what it prints.

    Raises:
        ProgramFailedError: It ended with an error.
        OSError: It can't be started.
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **({"PGPASSWORD": password} if password else {})}
    done = subprocess.run(
        [str(installed_binaries().program(program)), *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False, env=environment, umask=0o077,
    )  # fmt: skip
    if done.returncode:
        said = [line.split("error: ", 1)[-1] for line in done.stderr.splitlines() if "error: " in line]
        raise ProgramFailedError(f"{program}: {said[0] if said else f'ended with code {done.returncode}'}")
    return done.stdout


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
