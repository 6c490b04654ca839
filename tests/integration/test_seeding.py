"""Seeding: the same seed invents the same rows, a second time adds nothing, and clearing takes out exactly what was seeded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from omc_infra.errors import BadInputError, ConfigurationError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.accounts import add_account
from omc_pipeline.ledgers.exchange import FILL, QUOTE, Quote
from omc_pipeline.ledgers.read import LedgerReader
from omc_pipeline.ledgers.table import LedgerTable, row_digest
from omc_pipeline.ledgers.write import append
from omc_pipeline.positions import compute_positions, conservation_findings, summary
from omc_pipeline.seeding.bulk import seed_bulk
from omc_pipeline.seeding.people import Person, fills
from omc_pipeline.seeding.seed import clear, refuse_live, seed_people

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def cleared(database: Database) -> None:
    clear(database)
    with database.connect("owner") as owner:
        owner.execute("TRUNCATE exchange.quote")


def _everything(database: Database) -> dict[str, int]:
    with database.connect("owner") as connection:
        tables = connection.execute(
            "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^(pg_|information_schema|dagster)'"
            " AND c.relname NOT IN ('knowledge', 'partitioned')"
        ).fetchall()
        counts = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone() for (table,) in tables}
    return {table: count[0] for table, count in counts.items() if count and count[0]}


def test_a_second_seed_adds_nothing_even_on_a_later_day_and_more_days_add_only_these(database: Database) -> None:
    first = seed_people(database, 2, 10, 1, NOW)

    again = seed_people(database, 2, 10, 1, NOW + timedelta(days=3))
    more = seed_people(database, 3, 10, 1, NOW)

    assert first["exchange.account"] == 2
    assert first["exchange.quote"] == 8 * 24 * 10
    assert first["exchange.fill"] > 20
    assert set(again.values()) == {0}
    assert (more["exchange.account"], more["exchange.quote"]) == (1, 0)


def test_the_same_seed_draws_the_same_fills_and_another_one_others() -> None:
    begin = datetime(2026, 9, 1, tzinfo=UTC)

    assert list(fills(4, Person(1), begin, 20)) == list(fills(4, Person(1), begin, 20))
    assert list(fills(4, Person(1), begin, 20)) != list(fills(5, Person(1), begin, 20))
    assert list(fills(4, Person(1), begin, 20))[-1] == list(fills(4, Person(1), begin + timedelta(days=10), 10))[-1]


def test_profit_and_loss_of_a_seeded_user_adds_up_and_nothing_is_sold_that_was_not_held(database: Database) -> None:
    seed_people(database, 1, 30, 1, NOW)
    compute_positions(database, "seed-1")

    assert conservation_findings(database, "seed-1") == []
    assert summary(database, "seed-1").by_symbol
    with database.connect("reader") as connection:
        assert connection.execute("SELECT sum(unmatched_qty) FROM pnl.position WHERE user_id = 'seed-1'").fetchone() == (0,)
    held = {row["symbol"]: row["qty"] for row in LedgerReader(database.engine("reader"), user_id="seed-1").rows(FILL)}
    assert held


def test_clearing_removes_what_was_seeded_and_computed_from_it_and_nothing_else(database: Database) -> None:
    with database.connect("writer") as connection:
        add_account(connection, "ann", "coinspot", "exchange_coinspot_account")
        append(connection, "exchange_coinspot_prices", [Quote("BTC", "AUD", NOW, Decimal(1), Decimal(2), None)], None)
    before = _everything(database)
    seed_people(database, 2, 5, 1, NOW)
    seed_bulk(database, 5_000, 40, 1, NOW)
    compute_positions(database, "seed-1")

    removed = clear(database)

    assert removed["exchange.users"] == 3
    assert _everything(database) == before
    assert [row["source"] for row in LedgerReader(database.engine("reader")).latest_quotes()] == ["exchange_coinspot_prices"]
    assert clear(database) == {}


def test_a_user_of_ones_own_with_a_seeded_name_is_left_alone(database: Database) -> None:
    with database.connect("writer") as connection:
        add_account(connection, "seed-2", "coinspot", "exchange_coinspot_account")

    with pytest.raises(BadInputError, match="seed-2"):
        seed_people(database, 2, 1, 1, NOW)
    clear(database)

    with database.connect("owner") as connection:
        assert connection.execute("SELECT count(*) FROM exchange.users WHERE user_id = 'seed-2'").fetchone() == (1,)
        connection.execute("DELETE FROM exchange.account WHERE user_id = 'seed-2'")
        connection.execute("DELETE FROM exchange.users WHERE user_id = 'seed-2'")


def test_another_seed_is_refused_until_the_first_is_cleared(database: Database) -> None:
    seed_people(database, 1, 1, 1, NOW)

    with pytest.raises(BadInputError, match="--clear"):
        seed_people(database, 1, 1, 2, NOW)


def test_seeding_and_clearing_are_refused_in_the_live_profile(changed: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigurationError, match="live"):
        refuse_live(changed(profile="live").profile)


@pytest.mark.parametrize("table", [QUOTE, FILL], ids=lambda table: table.qualified)
def test_bulk_rows_are_rows_as_any_other_and_come_once(database: Database, table: LedgerTable) -> None:
    first = seed_bulk(database, 20_000, 70, 1, NOW)
    again = seed_bulk(database, 20_000, 70, 1, NOW + dt.timedelta(hours=2))

    assert first == {"exchange.quote": 20_000, "exchange.fill": 2_000}
    assert again == {"exchange.quote": 0, "exchange.fill": 0}
    rows: list[dict[str, Any]] = LedgerReader(database.engine("reader")).rows(table, source="seed_scale", limit=300)
    assert len(rows) == 300
    for row in rows:
        facts = {name: row[name].astimezone(UTC) if isinstance(row[name], datetime) else row[name] for name in table.fields}
        assert row_digest(table.row(**facts)) == row["row_sha256"]


def test_the_newest_quotes_know_those_that_were_made_in_bulk(database: Database) -> None:
    seed_bulk(database, 20_000, 70, 1, NOW)
    reader = LedgerReader(database.engine("reader"))

    latest = reader.latest_quotes()

    assert len(latest) == 500
    newest = reader.rows(QUOTE, limit=500)
    assert latest == sorted(newest, key=lambda row: row["symbol"])
