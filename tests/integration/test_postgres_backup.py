"""Before a migration rewrites rows there is a backup, and a migration that was killed at any point is run again."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from old_home import HomeFacts, facts_of_home, opened_old_home

from omc_infra.errors import ConfigurationError
from omc_infra.postgres.backup import FOLDER
from omc_infra.postgres.binaries import installed_binaries
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate, migration_folders, revision
from omc_infra.settings import PROJECT_ROOT, Settings

REVISION = """
from alembic import op

revision = "{name}"
down_revision = "{before}"
REWRITES_ROWS = {rewrites}

def upgrade():
    op.execute("UPDATE human.sentiment SET label = coalesce(label, '') || '{name}'")
    op.execute("SELECT pg_sleep({seconds})")
"""
MIGRATE = """
import resource, sys
from dataclasses import replace
from pathlib import Path
from omc_infra.errors import OmcError
from omc_infra.postgres.database import open_database
from omc_infra.postgres.migrate import migrate, migration_folders
from omc_infra.settings import load_settings
limit = int(sys.argv[2])
with open_database(load_settings(), check=False) as database:
    embedded = replace(database, address=replace(database.address, embedded=True))
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        print(",".join(migrate(embedded, [*migration_folders(), Path(sys.argv[1])])))
    except OmcError as error:
        sys.exit(f"{type(error).__name__} {error}")
"""
PATIENCE_S = 60.0


@pytest.fixture
def own_settings(settings: Settings, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Return settings for a database of this test alone, dropped at the end."""
    assert settings.database_url is not None
    server = settings.database_url.get_secret_value().rsplit("/", 1)[0]
    name = f"b_{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}"
    yield Settings.model_validate({**settings.model_dump(), "database_url": f"{server}/{name}"})
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def old(own_settings: Settings) -> Iterator[Database]:
    """Open the old home, migrated to the newest revision there is."""
    with opened_old_home(own_settings) as database:
        migrate(database, without_backup=True)
        yield database


@pytest.fixture
def revisions(tmp_path: Path, old: Database) -> Callable[..., Path]:
    """Return a function that adds a revision to a folder, after the newest; it answers the folder."""
    head = [revision(old)]

    def add(name: str, *, rewrites: bool = True, seconds: float = 0) -> Path:
        text = REVISION.format(name=name, before=head[0], rewrites=rewrites, seconds=seconds)
        (tmp_path / f"{name}.py").write_text(text)
        head[0] = name
        return tmp_path

    return add


def backups(settings: Settings, database: Database) -> list[Path]:
    folder = settings.home / FOLDER
    return sorted(file for file in folder.iterdir() if file.name.startswith(database.name)) if folder.is_dir() else []


def migrate_with(database: Database, folder: Path, *, without_backup: bool = False) -> list[str]:
    return migrate(database, [*migration_folders(), folder], without_backup=without_backup)


def labels(database: Database) -> set[str]:
    with database.connect("reader") as connection:
        return {label for (label,) in connection.execute("SELECT right(label, 5) FROM human.sentiment")}


@contextmanager
def migrating_process(settings: Settings, folder: Path, limit_bytes: int = 0) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, **settings.environ(), "PYTHONPATH": os.pathsep.join([str(PROJECT_ROOT), *filter(None, sys.path)])}
    process = subprocess.Popen(
        [sys.executable, "-c", MIGRATE, str(folder), str(limit_bytes)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def await_activity(database: Database, condition: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    with database.address.administer() as admin:
        admin.autocommit = True
        found = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND "
        while admin.execute(f"{found}{condition}").fetchone() == (0,):
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.slow
def test_rows_are_rewritten_only_after_a_backup_from_which_all_of_them_come_back(
    own_settings: Settings, old: Database, revisions: Callable[..., Path], settings: Settings
) -> None:
    revisions("t0001")
    before = facts_of_home(old)

    applied = migrate_with(old, revisions("t0002"))

    (backup,) = backups(own_settings, old)
    assert applied == ["t0001", "t0002"]
    assert labels(old) == {"t0002"}
    assert re.fullmatch(rf"{old.name}-before-t0001-\d{{8}}T\d{{6}}Z\.dump", backup.name)
    assert (backup.stat().st_mode & 0o777, backup.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert restored_facts(old, backup) == before


def restored_facts(database: Database, backup: Path) -> HomeFacts:
    """Empty the database and restore a backup into it, as the how-to says."""
    address = database.address
    database.close()
    with address.at("postgres").administer() as admin:
        admin.autocommit = True
        admin.execute(f"DROP DATABASE {address.database} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {address.database}")
    where = (f"--host={address.host}", f"--port={address.port}", f"--username={address.user}", f"--dbname={address.database}")
    subprocess.run(
        [str(installed_binaries().program("pg_restore")), "--exit-on-error", *where, str(backup)],
        check=True,
        env={"PATH": os.defpath, "PGPASSWORD": address.password or ""},
    )
    return facts_of_home(database)


def test_a_new_database_and_a_revision_that_rewrites_nothing_need_no_backup(
    own_settings: Settings, old: Database, revisions: Callable[..., Path]
) -> None:
    assert migrate_with(old, revisions("t0001", rewrites=False)) == ["t0001"]
    assert backups(own_settings, old) == []


def test_a_new_database_is_migrated_without_a_backup(own_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "t0000.py").write_text('revision = "t0000"\ndown_revision = None\nREWRITES_ROWS = True\ndef upgrade():\n    pass\n')

    with open_database(own_settings, check=False) as database:  # not an embedded server, as its URL is given
        assert migrate(database, [tmp_path]) == ["t0000"]


def test_a_server_of_the_users_own_gets_the_command_instead_and_waits_for_the_word(old: Database, revisions: Callable[..., Path]) -> None:
    own = replace(old, address=replace(old.address, embedded=False))
    folder, head = revisions("t0001"), revision(old)

    with pytest.raises(ConfigurationError) as refused:
        migrate_with(own, folder)

    message = str(refused.value)
    assert f"`pg_dump --format=custom --file={own.name}-before-t0001.dump '--dbname=host=" in message
    assert message.endswith("then run `omc db migrate --without-backup`")
    assert "\n" not in message
    assert (own.address.password or "?") not in message
    assert revision(own) == head
    assert migrate_with(own, folder, without_backup=True) == ["t0001"]


def test_a_backup_that_cannot_be_written_stops_the_migration_with_one_line(
    own_settings: Settings, old: Database, revisions: Callable[..., Path]
) -> None:
    folder, head = revisions("t0001"), revision(old)

    with migrating_process(own_settings, folder, limit_bytes=20_000) as process:  # as a full disk, for this process alone
        _, said = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 1
    assert said.startswith("ConfigurationError ")
    assert said.count("\n") == 1, said
    assert "the backup before revision t0001, which rewrites rows, failed: " in said
    assert backups(own_settings, old) == []
    assert (revision(old), "t0001" in labels(old)) == (head, False)


@pytest.mark.slow
def test_a_migration_killed_while_it_rewrites_is_run_again(own_settings: Settings, old: Database, revisions: Callable[..., Path]) -> None:
    folder, head = revisions("t0001", seconds=1), revision(old)
    with migrating_process(own_settings, folder) as process:
        await_activity(old, "query LIKE '%pg_sleep%'")
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert revision(old) == head
    assert migrate_with(old, folder) == ["t0001"]
    assert labels(old) == {"t0001"}
    assert all(file.suffix == ".dump" for file in backups(own_settings, old))


def test_a_migration_killed_during_its_backup_is_run_again_and_clears_up(
    own_settings: Settings, old: Database, revisions: Callable[..., Path]
) -> None:
    folder = revisions("t0001")
    with old.connect("owner") as blocking, migrating_process(own_settings, folder) as process:
        blocking.execute("LOCK TABLE human.sentiment IN ACCESS EXCLUSIVE MODE")
        await_activity(old, "application_name = 'pg_dump' AND wait_event_type = 'Lock'")
        process.send_signal(signal.SIGKILL)
        process.wait()
        (own_settings.home / FOLDER / f"{old.name}-before-t0001-20260101T000000Z.dump.1.partial").touch()

    assert migrate_with(old, folder) == ["t0001"]
    assert [file.suffix for file in backups(own_settings, old)] == [".dump"]
