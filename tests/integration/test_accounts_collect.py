"""Several users with accounts and keys of their own, collected from one sandbox into one database."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agent_sessions import token_of
from pydantic import SecretStr

from omc_infra.clock import utc_now
from omc_infra.errors import BadInputError, NotConfiguredError, OmcError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.accounts import add_account, default_account, next_nonce, set_state
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.equipment import source_account
from omc_pipeline.ledgers.exchange import BALANCE, FILL
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.positions import compute_positions
from omc_pipeline.sandbox import serving
from omc_pipeline.sandbox.account import fills
from omc_pipeline.sandbox.running import state_file
from omc_pipeline.sandbox.state import State
from omc_pipeline.sandbox.world import World
from omc_pipeline.sources.exchange_coinspot_account import SOURCE

USERS = ("ada", "bob")


@pytest.fixture(scope="module")
def sandboxed(settings: Settings) -> Iterator[Settings]:
    """Run a sandbox for the module."""
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def rows(database: Database, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with database.connect("reader") as connection:
        return connection.execute(statement, values).fetchall()


def told_by_venue(settings: Settings, account: str) -> list[tuple[str, str, datetime]]:
    world = World(settings.sandbox_seed, utc_now, State(state_file(settings)))
    return sorted((fill.side, fill.coin, fill.executed_at) for fill in fills(world, utc_now() - timedelta(minutes=1), account))


def held(database: Database, user: str) -> list[tuple[str, str, datetime]]:
    recent = utc_now() - timedelta(minutes=1)
    found = rows(database, "SELECT side, symbol, executed_at FROM exchange.fill WHERE user_id = %s AND executed_at <= %s", user, recent)
    return sorted((side, symbol, at.astimezone(UTC)) for side, symbol, at in found)


def test_a_user_who_is_collected_second_gets_the_whole_history_of_their_own_account(database: Database, sandboxed: Settings) -> None:
    for user in USERS:
        collect(SOURCE, database, sandboxed.model_copy(update={"user": user}))

    counts = dict(rows(database, "SELECT user_id, count(*) FROM exchange.fill WHERE user_id = ANY(%s) GROUP BY 1", list(USERS)))
    assert counts["ada"] > 100
    assert counts["bob"] > 100
    assert rows(database, "SELECT account_id, user_id FROM exchange.account WHERE user_id = ANY(%s) ORDER BY 2", list(USERS)) == [
        ("coinspot", "ada"),
        ("bob-coinspot", "bob"),
    ]
    assert held(database, "ada") == told_by_venue(sandboxed, "coinspot")
    assert held(database, "bob") == told_by_venue(sandboxed, "bob-coinspot")


@pytest.mark.slow
def test_two_processes_collect_two_users_at_once_and_nothing_of_one_is_in_the_other(database: Database, sandboxed: Settings) -> None:
    collect(SOURCE, database, sandboxed.model_copy(update={"user": "ada"}))  # the first user's account is called like the venue
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OMC_")} | sandboxed.environ()
    command = [sys.executable, "-c", "from omc_infra.cli import main; main()", "collect", SOURCE.name, "--json"]

    running = [
        subprocess.Popen(command, env=environ | {"OMC_USER": user}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for user in ("carl", "dora", "carl")
    ]
    answers = [(*process.communicate(timeout=120), process.returncode) for process in running]

    assert [code for *_, code in answers] == [0, 0, 0], answers
    for user in ("carl", "dora"):
        assert held(database, user) == told_by_venue(sandboxed, f"{user}-coinspot")
    assert not set(held(database, "carl")) & set(held(database, "dora"))


def test_threads_collect_many_users_at_once(database: Database, sandboxed: Settings) -> None:
    users, failures = [f"many{number}" for number in range(4)], list[OmcError]()

    def work(user: str) -> None:
        try:
            collect(SOURCE, database, sandboxed.model_copy(update={"user": user}))
        except OmcError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[user]) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert [held(database, user) for user in users] == [told_by_venue(sandboxed, f"{user}-coinspot") for user in users]


def test_a_reader_that_is_bound_to_one_user_sees_nothing_of_another(database: Database, sandboxed: Settings) -> None:
    for user in USERS:
        collect(SOURCE, database, sandboxed.model_copy(update={"user": user}))

    for role, token in (("reader", None), ("agent", token_of(database, "ada"))):
        reader = LedgerReader(database.engine(role), user_id="ada", session_token=token)  # type: ignore[arg-type]
        assert {row["user_id"] for table in (FILL, BALANCE) for row in reader.rows(table)} == {"ada"}
        assert {row["account_id"] for table in (FILL, BALANCE) for row in reader.rows(table)} == {"coinspot"}
        with pytest.raises(BadInputError, match="bound to user 'ada'"):
            reader.fills("bob")
    assert LedgerReader(database.engine("agent"), user_id="bob", session_token=token_of(database, "ada")).fills("bob") == []


def test_each_users_profit_and_loss_is_of_their_own_fills(database: Database, sandboxed: Settings) -> None:
    for user in USERS:
        collect(SOURCE, database, sandboxed.model_copy(update={"user": user}))
        compute_positions(database, user)

    for user in USERS:
        bought, held_qty = rows(
            database,
            "SELECT (SELECT sum(CASE side WHEN 'buy' THEN qty ELSE -qty END) FROM exchange.fill WHERE user_id = %s),"
            " (SELECT sum(qty) FROM pnl.position WHERE user_id = %s)",
            user,
            user,
        )[0]
        assert bought == held_qty
    assert rows(database, "SELECT count(*) FROM pnl.exception WHERE user_id = ANY(%s)", list(USERS)) == [(0,)]


def test_a_nonce_is_above_every_earlier_one_over_connections_and_when_the_clock_is_set_back(database: Database) -> None:
    with database.connect("writer") as connection:
        account = default_account(connection, "nina", SOURCE.name, SOURCE.venue)
    now, nonces = utc_now(), list[int]()

    for moment in (now, now, now - timedelta(days=1), now):
        with database.connect("writer") as connection:
            nonces.append(next_nonce(connection, account.account_id, moment))

    assert nonces[0] == int(now.timestamp() * 1000)
    assert nonces == sorted(set(nonces))


def test_keys_of_the_default_account_are_never_used_for_another_users(database: Database, sandboxed: Settings) -> None:
    keys = {"coinspot": SecretStr("real"), "coinspot_secret": SecretStr("real")}
    live = sandboxed.model_copy(update={"profile": "live", "keys": keys, "user": "zoe"})

    with pytest.raises(NotConfiguredError, match="OMC_KEY_COINSPOT__ZOE_COINSPOT and OMC_KEY_COINSPOT_SECRET__ZOE_COINSPOT"):
        collect(SOURCE, database, live)


def test_an_account_is_collected_for_its_own_user_and_source_only(database: Database, sandboxed: Settings) -> None:
    with database.connect("writer") as connection:
        second = add_account(connection, "fay", SOURCE.venue, SOURCE.name, "fay-second")
        removed = add_account(connection, "fay", SOURCE.venue, SOURCE.name, "fay-removed")
        set_state(connection, removed.account_id, "removed", "ann")

    assert source_account(SOURCE, database, sandboxed, None, "fay-second") == second
    assert source_account(discover_sources()["human_fear_greed"], database, sandboxed) is None
    for user, account in (("bob", "fay-second"), (None, "fay-removed"), (None, "nowhere")):
        with pytest.raises(BadInputError, match=str(account)):
            source_account(SOURCE, database, sandboxed, user, account)


def test_two_accounts_that_would_share_a_variable_for_their_key_are_refused(database: Database) -> None:
    with database.connect("writer") as connection:
        add_account(connection, "eve", "coinspot", SOURCE.name, "eve-one")
        with pytest.raises(BadInputError, match="which are the same in the names of keys"):
            add_account(connection, "eve", "coinspot", SOURCE.name, "eve_one")
