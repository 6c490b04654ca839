"""A home that an earlier revision made is migrated, and nothing of what it holds is lost or changed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from old_home import REVISION, HomeFacts, facts_of_home, opened_old_home

from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate, revision
from omc_infra.settings import Settings
from omc_pipeline.ledgers import catalyst, exchange
from omc_pipeline.ledgers.table import LedgerTable, row_digest


@pytest.fixture(scope="module")
def old_home(settings: Settings) -> Iterator[tuple[Database, HomeFacts]]:
    """Return the old home after its migration, and what it said before."""
    with opened_old_home(settings) as database:
        assert revision(database) == REVISION
        before = facts_of_home(database)
        migrate(database)
        yield database, before


def test_the_restored_home_holds_what_its_demo_said(old_home: tuple[Database, HomeFacts]) -> None:
    _, before = old_home

    assert (before.rows["exchange.fill"], before.rows["glass.protocol_tvl"], before.rows["catalyst.event"]) == (118, 192, 16)
    assert before.realized == Decimal("-307.650947544908462554")
    assert [session[4] for session in before.sessions] == ["published"]
    assert len(before.briefs) == 1


def test_the_home_is_at_the_newest_revision_and_opens_as_any_other(old_home: tuple[Database, HomeFacts], settings: Settings) -> None:
    database, _ = old_home

    assert migrate(database) == []
    with open_database(settings) as opened:
        assert opened.marked_profile() == "sandbox"


def test_every_row_is_still_there(old_home: tuple[Database, HomeFacts]) -> None:
    database, before = old_home

    after = facts_of_home(database, frozenset(before.rows))

    assert after.rows == before.rows
    assert after.fills == before.fills


@pytest.mark.parametrize("table", [catalyst.EVENT, exchange.QUOTE, exchange.FILL], ids=lambda table: table.qualified)
def test_the_digest_of_every_row_is_that_of_its_facts_so_that_nothing_counts_as_changed(
    old_home: tuple[Database, HomeFacts], table: LedgerTable
) -> None:
    database, _ = old_home
    with database.connect("reader") as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        rows = connection.execute(f"SELECT {', '.join(table.fields)}, row_sha256 FROM {table.qualified}").fetchall()

    digests = [row_digest(table.row(*row[:-1])) for row in rows]

    assert rows
    assert digests == [row[-1] for row in rows]


def test_filings_of_before_are_of_an_undecided_zone(old_home: tuple[Database, HomeFacts]) -> None:
    database, _ = old_home
    with database.connect("reader") as connection:
        zones = connection.execute("SELECT DISTINCT published_zone, impact FROM catalyst.event").fetchall()

    assert zones == [("undecided", None)]


def test_profit_and_loss_is_to_the_last_digit_what_it_was(old_home: tuple[Database, HomeFacts]) -> None:
    database, before = old_home

    after = facts_of_home(database)

    assert (after.positions, after.matches, after.lots) == (before.positions, before.matches, before.lots)


def test_sessions_briefs_claims_and_alerts_are_what_they_were(old_home: tuple[Database, HomeFacts]) -> None:
    database, before = old_home

    after = facts_of_home(database)

    assert (after.sessions, after.briefs, after.claims, after.alerts) == (before.sessions, before.briefs, before.claims, before.alerts)


def test_the_roles_of_the_migrated_home_read_it(old_home: tuple[Database, HomeFacts]) -> None:
    database, before = old_home

    with database.connect("reader") as reader:
        assert reader.execute("SELECT count(*) FROM exchange.fill").fetchone() == (before.rows["exchange.fill"],)
    with database.connect("agent") as agent, pytest.raises(psycopg.errors.InsufficientPrivilege):
        agent.execute("SELECT count(*) FROM raw.payload")
