"""``omc quarantine``: refused rows are listed, read again and dismissed; the how-to works to the letter."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from omc_infra.errors import BadInputError
from omc_infra.payload import Payload
from omc_infra.postgres.database import Database
from omc_infra.settings import PROJECT_ROOT, Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.source import Parsed, Rejected, Source
from omc_pipeline.commands.quarantine import quarantine as command
from omc_pipeline.ledgers.quarantine import Quarantined, dismiss, quarantine, rows_in, rows_numbered
from omc_pipeline.ledgers.table import json_values
from omc_pipeline.sandbox import serving

sys.path.insert(0, str(PROJECT_ROOT / "tests" / "docs"))
from pages import follow, missing_lines

NAME = "human_fear_greed"
SOURCE = discover_sources()[NAME]
PAGE = "how-to/look-after-quarantine.md"


def distrustful(refuses: int) -> Source:
    """Return the source with a parser that refuses its last rows."""

    def parse(payload: Payload, config: Any) -> Parsed:
        rows = list(SOURCE.parse(payload, config).rows)
        return Parsed(rows[:-refuses], [Rejected("not trusted", json_values(row)) for row in rows[-refuses:]])

    return dataclasses.replace(SOURCE, parse=parse)


@pytest.fixture
def refused(database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Quarantined]]:
    """Collect with a parser that refuses two rows; return them. Commands run in this database."""
    for name, value in settings.environ().items():
        monkeypatch.setenv(name, value)
    with database.connect("owner") as connection:
        connection.execute("TRUNCATE raw.quarantine, raw.fetch, raw.payload, human.sentiment RESTART IDENTITY CASCADE")
        connection.commit()
    with serving(settings) as url:
        collect(distrustful(2), database, settings.model_copy(update={"sandbox_url": url}))
    with database.connect("reader") as connection:
        yield rows_in(connection, "open")


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(command, [*arguments, "--json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, json.loads(done.stdout)


def kept(database: Database) -> int:
    with database.connect("reader") as connection:
        found = connection.execute("SELECT count(*) FROM human.sentiment").fetchone()
    assert found
    return int(found[0])


def test_rows_are_listed_with_their_reason_and_their_body(refused: list[Quarantined]) -> None:
    code, document = run("list", "--source", NAME)

    assert (code, len(document["rows"])) == (0, 2)
    (shown,) = run("show", "1")[1]["rows"]
    assert (shown["reason"], shown["state"], shown["refused_count"], shown["payload_sha256"]) == (
        "not trusted",
        "open",
        1,
        refused[0].payload_sha256,
    )
    assert shown["fetched_at"]
    assert shown["row"]["symbol"] == "MARKET"


def test_a_mended_parser_releases_them_and_their_rows_land(refused: list[Quarantined], database: Database) -> None:
    before = kept(database)

    code, document = run("retry", "--source", NAME)

    assert (code, document["released"], document["failures"]) == (0, 2, [])
    assert {row["state"] for row in document["rows"]} == {"released"}
    assert kept(database) == before + 2


def test_a_row_that_is_refused_again_stays_and_says_so(
    refused: list[Quarantined], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omc_pipeline.collection.discovery.source_named", lambda _name: distrustful(1))
    last = next(row for row in refused if row.row == refused[0].row)

    code, document = run("retry", str(refused[0].quarantine_id), str(refused[1].quarantine_id))

    assert (code, document["released"]) == (1, 1)
    with database.connect("reader") as connection:
        (left,) = rows_in(connection, "open")
    assert left.refused_count == last.refused_count  # the same body, read again


def test_a_dismissed_row_stays_closed_when_another_body_holds_it(refused: list[Quarantined], database: Database) -> None:
    code, document = run("dismiss", "1", "--because", "withdrawn", "--by", "ada")

    assert (code, document["rows"][0]["dismissed_by"], document["rows"][0]["state"]) == (0, "ada", "dismissed")
    row = next(row for row in refused if row.quarantine_id == 1)
    with database.connect("writer") as connection:
        assert quarantine(connection, NAME, [(row.reason, row.row)], "f" * 64) == 0
        (again,) = rows_numbered(connection, [1])
    assert (again.state, again.refused_count, again.payload_sha256) == ("dismissed", 2, "f" * 64)
    assert run("list", "--state", "dismissed")[1]["rows"][0]["dismissed_because"] == "withdrawn"


def test_a_released_row_is_open_again_when_a_newer_body_holds_it(refused: list[Quarantined], database: Database) -> None:
    run("retry", "--source", NAME)
    with database.connect("writer") as connection:
        assert quarantine(connection, NAME, [(refused[0].reason, refused[0].row)], "f" * 64) == 1
        (again,) = rows_numbered(connection, [refused[0].quarantine_id])
    assert (again.state, again.refused_count) == ("open", 2)


def test_rows_take_no_numbers_by_being_refused_again(refused: list[Quarantined], database: Database) -> None:
    with database.connect("writer") as connection:
        for body in "abc":
            quarantine(connection, NAME, [(refused[0].reason, refused[0].row)], body * 64)
        quarantine(connection, NAME, [("another", {"x": 1})], None)
        (newest, *_) = rows_in(connection, "open")
    assert newest.quarantine_id == 3


def test_all_are_dismissed_or_none(refused: list[Quarantined], database: Database) -> None:
    with database.connect("writer") as connection:
        with pytest.raises(BadInputError, match="no row 99"):
            dismiss(connection, [1, 99], "ada", "why")
        dismiss(connection, [1], "ada", "why")
        with pytest.raises(BadInputError, match="row 1 is not open: it is dismissed since"):
            dismiss(connection, [1, 2], "ada", "why")
        assert [row.state for row in rows_numbered(connection, [1, 2])] == ["dismissed", "open"]


@pytest.mark.parametrize("arguments", [("retry",), ("retry", "1", "--source", NAME), ("show", "7"), ("dismiss", "1", "--because", " ")])
def test_a_wrong_question_is_refused_in_one_line(refused: list[Quarantined], arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(command, arguments)

    assert isinstance(done.exception, BadInputError)
    assert "\n" not in str(done.exception)


@pytest.mark.slow
def test_the_how_to_works_to_the_letter(refused: list[Quarantined], settings: Settings, tmp_path: Path) -> None:
    outputs = follow(PAGE, settings.home, tmp_path, settings.environ())

    assert missing_lines(PAGE, outputs) == []
