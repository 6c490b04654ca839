"""``omc backup`` and ``omc restore``: the whole database in one encrypted file, and back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from omc_infra.cli import emit, json_option
from omc_infra.clock import utc_now
from omc_infra.errors import BadInputError
from omc_infra.private import private_folder
from omc_infra.settings import find_file, load_settings
from omc_infra.terminal import say


@click.command(help="Back up the whole database and omc.toml, encrypted with OMC_BACKUP_KEY, while the platform may run.")
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="Folder for the file; default: backups in OMC_HOME.")
@click.option("--new-key", is_flag=True, help="Make a new key, print it, and do nothing else.")
@json_option
def backup(folder: Path | None, new_key: bool, as_json: bool) -> None:
    """Write one file and print its name."""
    from omc_infra.backups.keys import encrypting_key
    from omc_infra.backups.keys import new_key as make_key
    from omc_infra.backups.making import make_backup
    from omc_infra.postgres.database import open_database

    if new_key:
        secret, public = make_key()
        if as_json:
            emit({"secret_key": secret, "public_key": public})
        else:
            say(f"secret key (restores; keep it away from the backups): {secret}\npublic key (enough to back up): {public}")
        return
    settings, began = load_settings(), time.monotonic()
    key, found = encrypting_key(settings), find_file(must_exist=False)
    with open_database(settings) as database:
        made = make_backup(database, folder or settings.home / "backups", key, found.path if found.exists else None, utc_now())
    seconds = time.monotonic() - began
    if as_json:
        held = {"rows": made.manifest.rows, "tables": len(made.manifest.tables), "revision": made.manifest.revision}
        emit({"file": str(made.file), "size_bytes": made.size_bytes, **held, "seconds": round(seconds, 1)})
    else:
        say(f"{made.file}: {made.manifest.rows:,} rows of {len(made.manifest.tables)} tables, {made.size_bytes:,} bytes, {seconds:.1f} s")


@click.command(
    help="Restore a file of `omc backup` into an empty database, and compare every table with what was backed up.",
    epilog="Without --yes the backup is opened and described, and nothing is written.",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), metavar="BACKUP_FILE")
@click.option("--yes", is_flag=True, help="Write it.")
@json_option
def restore(file: Path, yes: bool, as_json: bool) -> None:
    """Describe a backup, or restore it and print how long it took."""
    from omc_infra.backups.keys import decrypting_key
    from omc_infra.backups.restoring import opened_backup, restore_configuration, restore_into
    from omc_infra.postgres.database import open_database
    from omc_infra.postgres.migrate import migrate

    settings, began = load_settings(), time.monotonic()
    key = decrypting_key(settings)
    if not file.is_file():
        raise BadInputError(f"{file}: there is no such file")
    private_folder(settings.home)
    with opened_backup(file, key, settings.home) as opened:
        manifest = opened.manifest
        configured = False
        if yes:
            with open_database(settings, check=False) as database:
                restore_into(database, opened)
                migrate(database)
            configured = restore_configuration(opened, find_file(must_exist=False).path)
    seconds = time.monotonic() - began
    document: dict[str, Any] = {"file": str(file), "profile": manifest.profile, "made_at": manifest.made_at, "revision": manifest.revision}
    document |= {"tables": len(manifest.tables), "rows": manifest.rows, "restored": yes, "configuration_restored": configured}
    if as_json:
        emit({**document, "seconds": round(seconds, 1)})
        return
    say(f"{file}: {manifest.profile}, made {manifest.made_at}, {manifest.rows:,} rows of {len(manifest.tables)} tables")
    if yes:
        say(f"restored and compared, table by table, in {seconds:.1f} s" + ("; omc.toml too" if configured else ""))
    else:
        say("nothing was written; --yes restores it into an empty database")
