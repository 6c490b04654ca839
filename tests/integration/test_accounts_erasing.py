"""Removing an account keeps its fills unless asked; erasing a user leaves nothing of theirs, and an audit without content."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.accounts import add_account, default_account
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.erasing import account_rows, erase_account, erase_user, user_rows
from omc_pipeline.commands.accounts import accounts
from omc_pipeline.positions import compute_positions, summary
from omc_pipeline.sandbox import serving
from omc_pipeline.sources.exchange_coinspot_account import SOURCE

EVERYWHERE = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'user_id' WHERE c.relkind = 'r' AND n.nspname !~ '^pg_'
"""
SESSION = """
INSERT INTO agents.session (session_id, user_id, source, event_id, status, model, event_recorded_at, as_of)
VALUES (%(user)s, %(user)s, 'filings', %(user)s, 'published', 'scripted', now(), now())
"""
EVIDENCE = "INSERT INTO agents.evidence VALUES (%(user)s, %(user)s, 1, 'ref', 'tool', '{\"qty\": 1}', 'x')"
CHECKPOINT = "INSERT INTO agents.checkpoints (thread_id, checkpoint_id, checkpoint) VALUES (%(user)s || ':s', '1', '{}')"


@pytest.fixture(scope="module")
def sandboxed(settings: Settings) -> Iterator[Settings]:
    """Run a sandbox for the module."""
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def rows(database: Database, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with database.connect("owner") as connection:
        return connection.execute(statement, values).fetchall()


def living(database: Database, settings: Settings, user: str) -> None:
    """Give a user fills, profit and loss, a refused row, and a session of an agent."""
    collect(SOURCE, database, settings.model_copy(update={"user": user}))
    compute_positions(database, user)
    with database.connect("owner") as connection:
        connection.execute(
            "INSERT INTO raw.quarantine (source, reason, row, row_sha256, payload_sha256) SELECT source, 'odd', '{}', %s, payload_sha256"
            " FROM raw.fetch WHERE context ->> 'user_id' = %s LIMIT 1",
            [user, user],
        )
        for statement in (SESSION, EVIDENCE, CHECKPOINT):
            connection.execute(statement, {"user": user})


def remains(database: Database, user: str) -> dict[str, int]:
    found = {
        table: rows(database, f"SELECT count(*) FROM {table} WHERE user_id = %s", user)[0][0] for (table,) in rows(database, EVERYWHERE)
    }
    found["agents.checkpoints"] = rows(database, "SELECT count(*) FROM agents.checkpoints WHERE thread_id LIKE %s", f"{user}:%")[0][0]
    found["raw.fetch"] = rows(database, "SELECT count(*) FROM raw.fetch WHERE context ->> 'user_id' = %s", user)[0][0]
    found["raw.quarantine"] = rows(database, "SELECT count(*) FROM raw.quarantine WHERE row_sha256 = %s", user)[0][0]
    return {table: count for table, count in found.items() if count}


def test_erasing_a_user_leaves_nothing_of_theirs_and_everything_of_others(database: Database, sandboxed: Settings) -> None:
    for user in ("gone", "stays"):
        living(database, sandboxed, user)
    before = remains(database, "stays")
    bodies = "SELECT count(*) FROM raw.payload WHERE NOT EXISTS (SELECT FROM raw.fetch WHERE payload_sha256 = sha256)"
    with database.connect("owner") as connection:
        preview = user_rows(connection, "gone")
    assert remains(database, "gone")

    with database.connect("owner") as connection:
        erased = erase_user(connection, "gone", "ann")

    assert erased == preview
    assert remains(database, "gone") == {}
    assert remains(database, "stays") == before
    assert rows(database, bodies) == [(0,)]
    ((what, subject, by, counts),) = rows(database, "SELECT what, subject, erased_by, rows FROM exchange.erasure WHERE subject = 'gone'")
    assert (what, subject, by) == ("user", "gone", "ann")
    assert counts == erased
    assert counts["exchange.fill"] > 100
    assert {"raw.payload", "raw.fetch", "raw.quarantine", "agents.evidence", "pnl.lot_match", "exchange.account"} <= counts.keys()


def test_a_user_of_whom_there_is_nothing_is_not_erased(database: Database) -> None:
    with database.connect("owner") as connection, pytest.raises(BadInputError, match="no data of user 'nobody'"):
        erase_user(connection, "nobody", "ann")


def test_the_fills_of_an_account_are_erased_with_its_bodies_and_profit_and_loss_is_computed_from_the_others(
    database: Database, sandboxed: Settings
) -> None:
    user = "two"
    living(database, sandboxed, user)
    with database.connect("writer") as connection:
        first = default_account(connection, user, SOURCE.name, SOURCE.venue)
        second = add_account(connection, user, SOURCE.venue, SOURCE.name)
    alone = summary(database, user).cost
    collect(SOURCE, database, sandboxed, account=second)
    compute_positions(database, user)
    assert summary(database, user).cost != alone

    with database.connect("owner") as connection:
        preview = account_rows(connection, second.account_id)
        erased = erase_account(connection, second.account_id, "ann")
    compute_positions(database, user)

    assert erased == preview
    assert erased["exchange.fill"] > 100
    assert rows(database, "SELECT DISTINCT account_id FROM exchange.fill WHERE user_id = %s", user) == [(first.account_id,)]
    assert rows(database, "SELECT count(*) FROM raw.fetch WHERE context ->> 'account_id' = %s", second.account_id) == [(0,)]
    assert summary(database, user).cost == alone


@pytest.fixture
def omc(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs ``omc accounts`` and gives its document."""
    for name, value in settings.environ().items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> dict[str, Any]:
        result = CliRunner().invoke(accounts, [*arguments, "--json"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        document: dict[str, Any] = json.loads(result.stdout)
        return document

    return run


def test_an_account_is_added_paused_resumed_and_removed_and_its_fills_stay(database: Database, sandboxed: Settings, omc: Any) -> None:
    added = omc("add", "coinspot", "--user", "cleo", "--label", "savings")
    account = added["account"]
    with database.connect("writer") as connection:
        collect(SOURCE, database, sandboxed, account=default_account(connection, "cleo", SOURCE.name, SOURCE.venue))

    paused, resumed = omc("pause", account, "--by", "ann"), omc("resume", account)
    preview = omc("remove", account, "--with-fills")
    removed = omc("remove", account)

    assert (account, added["source"], added["label"], added["configured"]) == ("cleo-coinspot", SOURCE.name, "savings", True)
    assert (paused["state"], paused["state_changed_by"], resumed["state"], removed["state"]) == ("paused", "ann", "active", "removed")
    assert preview["erased"] is False
    assert preview["rows"]["exchange.fill"] > 100
    assert rows(database, "SELECT count(*) > 100 FROM exchange.fill WHERE account_id = %s", account) == [(True,)]
    assert account not in [row["account"] for row in omc("list")["accounts"]]
    assert account in [row["account"] for row in omc("list", "--removed", "--user", "cleo")["accounts"]]
    with database.connect("writer") as connection, pytest.raises(BadInputError, match="was removed; add a new one"):
        default_account(connection, "cleo", SOURCE.name, SOURCE.venue)


@pytest.mark.slow
def test_a_user_is_erased_only_when_it_is_confirmed(database: Database, sandboxed: Settings, omc: Any) -> None:
    living(database, sandboxed, "vera")

    asked = omc("erase-user", "vera")
    still_there = remains(database, "vera")
    done = omc("erase-user", "vera", "--yes", "--by", "ann")

    assert (asked["erased"], done["erased"]) == (False, True)
    assert asked["rows"] == done["rows"]
    assert still_there
    assert remains(database, "vera") == {}
