"""Commands on a database that isn't as they need it: one line that says what to do, never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from forked_commands import Commands, forked_commands
from old_home import opened_old_home

from omc_infra.postgres.database import Database
from omc_infra.postgres.migrate import migrate
from omc_infra.settings import load_settings

COMMANDS: Sequence[tuple[str, ...]] = (
    ("accounts", "list"), ("accounts", "pairs"), ("accounts", "add", "kraken", "--id", "k1"), ("accounts", "pause", "coinspot"),
    ("accounts", "erase-user", "demo"), ("agent", "sessions"), ("agent", "show", "x"), ("pnl", "report"), ("pnl", "exceptions"),
    ("pnl", "positions"), ("pnl", "reporting"), ("pnl", "reporting", "--currency", "EUR", "--zone", "Europe/Berlin"),
    ("pnl", "resolve", "1", "--by", "a", "--reason", "b"), ("quality",), ("collect", "human_fear_greed"),
    ("replay", "human_fear_greed", "--from", "2026-01-01"), ("sources", "list"), ("sources", "pause", "human_fear_greed"),
    ("sources", "resume", "human_fear_greed"), ("status",),
)  # fmt: skip
"""Commands that read or write the database."""
_OWN_WORDS = ("127.0.0.1:1", "no session", "is not open", "there is no")
"""What a command says that could read and had nothing to do, or whose upstream is not there."""


class Place(NamedTuple):
    """A database, the variables of a home that uses it, and the process that runs commands."""

    database: Database
    environ: Mapping[str, str]
    commands: Commands


@contextmanager
def _place(server_url: str, folder: Path, name: str, commands: Commands) -> Iterator[Place]:
    variables = {
        "OMC_HOME": str(folder / name), "OMC_DATABASE_URL": server_url.replace("{database}", name), "OMC_SANDBOX_URL": "http://127.0.0.1:1",
    }  # fmt: skip
    inherited = {variable: value for variable, value in os.environ.items() if not variable.startswith("OMC_")}
    with opened_old_home(load_settings(variables)) as database:
        yield Place(database, {**inherited, **variables}, commands)


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with forked_commands() as running:
        yield running


@pytest.fixture(scope="module")
def old(server_url: str, tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> Iterator[Place]:
    with _place(server_url, tmp_path_factory.mktemp("old"), "t_failures_old", commands) as place:
        yield place


@pytest.fixture(scope="module")
def present(server_url: str, tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> Iterator[Place]:
    with _place(server_url, tmp_path_factory.mktemp("present"), "t_failures", commands) as place:
        migrate(place.database)
        yield place


def _ends(place: Place, command: tuple[str, ...], *said: str) -> int:
    ran = place.commands.run(command, place.environ)
    assert ran.status in {0, 1, 2}, ran
    assert "Traceback" not in ran.stdout + ran.stderr, ran.stderr[-3000:]
    if ran.status == 2:
        assert ran.stderr.count("\n") == 1, ran.stderr
        assert any(words in ran.stderr for words in said), ran.stderr
    return ran.status


@contextmanager
def _changed(database: Database, *statements: str, back: Sequence[str]) -> Iterator[None]:
    try:
        for statement in statements:
            _administer(database, statement)
        yield
    finally:
        for statement in back:
            _administer(database, statement)


def _administer(database: Database, statement: str) -> None:
    with database.address.at("postgres" if "DATABASE" in statement else database.name).administer() as connection:
        connection.autocommit = True
        connection.execute(statement)  # type: ignore[call-overload]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_home_of_an_earlier_release_asks_for_the_migration(command: tuple[str, ...], old: Place) -> None:
    _ends(old, command, "omc db migrate", *_OWN_WORDS)


def test_what_an_earlier_release_lacks_is_named_with_what_to_do(old: Place) -> None:
    ran = old.commands.run(("accounts", "list"), old.environ)

    assert ran.status == 2
    assert "run `omc db migrate`" in ran.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_database_that_may_only_be_read_is_told_in_one_line(command: tuple[str, ...], present: Place) -> None:
    name = present.database.name
    with _changed(
        present.database,
        f'ALTER DATABASE "{name}" SET default_transaction_read_only = on',
        back=[f'ALTER DATABASE "{name}" RESET default_transaction_read_only'],
    ):
        _ends(present, command, "read-only", *_OWN_WORDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_rights_that_were_taken_away_are_told_in_one_line(command: tuple[str, ...], present: Place) -> None:
    roles = [f'"{present.database.name}_{role}"' for role in ("reader", "writer", "owner")]
    schemas = "glass, human, catalyst, exchange, quality, pnl, agents, raw, collection"
    with _changed(
        present.database,
        f"REVOKE USAGE ON SCHEMA {schemas} FROM {', '.join(roles)}",
        back=[f"GRANT USAGE ON SCHEMA {schemas} TO {', '.join(roles)}"],
    ):
        _ends(present, command, "permission denied", *_OWN_WORDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_database_that_lets_nobody_in_is_told_in_one_line(command: tuple[str, ...], present: Place) -> None:
    name = present.database.name
    with _changed(
        present.database, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false', back=[f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true']
    ):
        _ends(present, command, name)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_server_that_is_gone_is_told_in_one_line(command: tuple[str, ...], present: Place) -> None:
    gone = {**present.environ, "OMC_DATABASE_URL": "postgresql://postgres:hunter2@127.0.0.1:1/t_failures"}

    _ends(present._replace(environ=gone), command, "127.0.0.1:1 does not answer")


def test_a_role_may_still_read_after_all_of_this(present: Place) -> None:
    with psycopg.connect(present.database.url("reader", "")) as connection:
        assert connection.execute("SELECT count(*) FROM exchange.fill").fetchone() == (118,)
