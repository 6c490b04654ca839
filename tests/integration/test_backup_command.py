"""``omc backup`` and ``omc restore``: everything comes back, and what isn't whole or isn't ours is refused."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
from pages import follow, missing_lines

from omc_infra.backups.keys import new_key
from omc_infra.commands.backup import backup, restore
from omc_infra.errors import BadInputError, ConfigurationError, MachineError
from omc_infra.postgres.database import open_database
from omc_infra.postgres.migrate import migrate
from omc_infra.settings import Settings, load_settings
from omc_pipeline.ledgers.exchange import Quote
from omc_pipeline.ledgers.write import append

SECRET, PUBLIC = new_key()
NOW = datetime(2026, 11, 28, 1, 2, 3, tzinfo=UTC)
QUOTES = [Quote("BTC", "AUD", NOW - timedelta(seconds=n), Decimal("1.5"), None, Decimal(n + 1)) for n in range(500)]


def environ_of(home: Path, key: str | None) -> dict[str, str | None]:
    return {"OMC_HOME": str(home), "OMC_BACKUP_KEY": key, "OMC_CONFIG": None, "OMC_DATABASE_URL": None}


def run(command: Any, home: Path, *words: str, key: str | None = SECRET) -> Result:
    return CliRunner().invoke(command, [*words, "--json"], env=environ_of(home, key))


def settings_of(home: Path) -> Settings:
    return load_settings({"OMC_HOME": str(home)})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("backed-up") / ".omc"
    with open_database(settings_of(home), check=False, durable=False) as database:
        migrate(database)
        with database.connect("writer") as connection:
            append(connection, "exchange_coinspot_prices", QUOTES, None)
            connection.commit()
    (home / "omc.toml").write_text("[settings]\nkeep_runs_days = 9\n")
    return home


@pytest.fixture(scope="module")
def made(home: Path) -> dict[str, Any]:
    answer = run(backup, home, key=PUBLIC)
    assert answer.exit_code == 0, (answer.output, answer.exception)
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "other" / ".omc"
    shutil.rmtree(tmp_path / "other", ignore_errors=True)


def test_a_backup_is_one_private_file_and_leaves_nothing_beside_it(made: dict[str, Any]) -> None:
    file = Path(made["file"])

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    assert file.read_bytes().startswith(b"age-encryption.org/v1")
    assert made["rows"] >= len(QUOTES)


@pytest.mark.slow
def test_everything_comes_back_and_the_configuration_with_it(made: dict[str, Any], elsewhere: Path) -> None:
    answer = run(restore, elsewhere, made["file"], "--yes")

    assert answer.exit_code == 0, (answer.output, answer.exception)
    document = json.loads(answer.stdout)
    assert (document["restored"], document["rows"], document["configuration_restored"]) == (True, made["rows"], True)
    assert "keep_runs_days = 9" in (elsewhere / "omc.toml").read_text()
    with open_database(settings_of(elsewhere), durable=False) as database:
        with database.connect("reader") as reader:
            assert reader.execute("SELECT count(*), max(last) FROM exchange.quote").fetchone() == (500, 500)
        with database.connect("writer") as writer:  # the roles work, and the clock of knowledge goes on
            append(writer, "exchange_coinspot_prices", [Quote("BTC", "AUD", NOW + timedelta(1), None, None, Decimal(9))], None)
            writer.commit()
    again = run(restore, elsewhere, made["file"], "--yes")
    assert isinstance(again.exception, BadInputError)
    assert "empty database only" in str(again.exception)


def test_without_yes_nothing_is_written(made: dict[str, Any], elsewhere: Path) -> None:
    answer = run(restore, elsewhere, made["file"])

    assert json.loads(answer.stdout)["restored"] is False
    assert not (elsewhere / "postgres").exists()
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("how", ["cut", "cut early", "changed", "empty", "other key", "no backup", "text"])
def test_a_file_that_is_not_whole_or_not_ours_is_refused_and_writes_nothing(
    how: str, made: dict[str, Any], elsewhere: Path, tmp_path: Path
) -> None:
    body, key, file = Path(made["file"]).read_bytes(), SECRET, tmp_path / "file"
    match how:
        case "cut":
            body = body[:-20]
        case "cut early":
            body = body[: len(body) // 3]
        case "changed":
            body = body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1 :]
        case "empty":
            body = b""
        case "other key":
            key = new_key()[0]
        case "no backup":
            import pyrage

            body = pyrage.encrypt(b"hello", [pyrage.x25519.Recipient.from_str(PUBLIC)])
        case "text":
            body = b"hello"
    file.write_bytes(body)

    answer = run(restore, elsewhere, str(file), "--yes", key=key)

    assert isinstance(answer.exception, BadInputError), (answer.output, answer.exception)
    assert "\n" not in str(answer.exception)
    assert not (elsewhere / "postgres").exists()


def test_no_key_no_backup(home: Path, made: dict[str, Any]) -> None:
    for command, words, key in (
        (backup, (), None),
        (backup, (), "nonsense"),
        (restore, (made["file"],), PUBLIC),
        (restore, (made["file"],), None),
    ):
        answer = run(command, home, *words, key=key)
        assert isinstance(answer.exception, ConfigurationError), (answer.output, answer.exception)
        assert "nonsense" not in str(answer.exception)


def test_a_folder_that_can_not_be_written_is_one_line(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    answer = run(backup, home, "--to", str(tmp_path / "file" / "below"))

    assert isinstance(answer.exception, (MachineError, BadInputError, SystemExit)), answer.exception


def test_a_backup_of_another_profile_is_refused(made: dict[str, Any], elsewhere: Path) -> None:
    environ = {**environ_of(elsewhere, SECRET), "OMC_PROFILE": "live"}

    answer = CliRunner().invoke(restore, [made["file"], "--yes"], env=environ)

    assert "is of 'omc_sandbox' (sandbox)" in str(answer.exception)


def test_no_child_process_gets_the_key(home: Path) -> None:
    settings = load_settings({"OMC_HOME": str(home), "OMC_BACKUP_KEY": SECRET})

    assert SECRET not in str(settings.environ())
    assert SECRET not in repr(settings)
    assert SECRET not in str(dict(os.environ))


@pytest.mark.slow
def test_the_how_to_works_to_the_letter(home: Path, tmp_path: Path) -> None:
    page = "how-to/back-up-and-restore.md"

    outputs = follow(page, home, tmp_path, {})

    assert missing_lines(page, outputs) == []
