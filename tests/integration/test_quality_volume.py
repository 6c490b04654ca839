"""Rows an hour: counted once, again while late rows may come, and let go with nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from omc_infra.postgres.database import Database
from omc_pipeline.ledgers.exchange import QUOTE, Quote
from omc_pipeline.ledgers.write import append
from omc_pipeline.quality.retention import purge_check_results
from omc_pipeline.quality.volume import rows_by_day, rows_by_hour

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
SOURCE = "exchange_counted"


@pytest.fixture(autouse=True)
def empty(database: Database) -> Iterator[None]:
    yield
    with database.connect("owner") as connection:
        connection.execute("DELETE FROM quality.row_count")
        connection.execute("DELETE FROM exchange.quote WHERE source = %s", [SOURCE])


def quotes(database: Database, *moments: datetime) -> None:
    rows = [Quote("BTC", "AUD", moment, Decimal(1), Decimal(2), Decimal(1)) for moment in moments]
    with database.connect("writer") as connection:
        append(connection, SOURCE, rows, None)


def counted_at(database: Database) -> dict[datetime, datetime]:
    with database.connect("reader") as connection:
        return dict(connection.execute("SELECT hour, counted_at FROM quality.row_count WHERE source = %s", [SOURCE]).fetchall())


def test_each_closed_hour_is_counted_and_the_running_one_is_not(database: Database) -> None:
    quotes(database, NOW - timedelta(hours=2), NOW - timedelta(hours=1), NOW - timedelta(minutes=50), NOW - timedelta(minutes=5))

    assert rows_by_hour(database, SOURCE, QUOTE, 4, NOW) == [0, 0, 1, 2]


def test_a_second_look_reads_the_kept_counts(database: Database) -> None:
    quotes(database, NOW - timedelta(hours=5))
    rows_by_hour(database, SOURCE, QUOTE, 6, NOW)
    before = counted_at(database)

    again = rows_by_hour(database, SOURCE, QUOTE, 6, NOW + timedelta(minutes=1))

    assert again == [0, 1, 0, 0, 0, 0]
    assert counted_at(database) == before


def test_rows_that_come_late_are_counted_when_their_hour_is_counted_again(database: Database) -> None:
    rows_by_hour(database, SOURCE, QUOTE, 3, NOW)
    quotes(database, NOW - timedelta(hours=1))

    assert rows_by_hour(database, SOURCE, QUOTE, 3, NOW + timedelta(minutes=1)) == [0, 0, 0]
    assert rows_by_hour(database, SOURCE, QUOTE, 3, NOW + timedelta(minutes=16)) == [0, 0, 1]


def test_a_backfilled_hour_is_counted_again_within_a_day(database: Database) -> None:
    rows_by_hour(database, SOURCE, QUOTE, 48, NOW)
    quotes(database, NOW - timedelta(hours=20))

    assert sum(rows_by_hour(database, SOURCE, QUOTE, 48, NOW + timedelta(hours=25))) == 1


def test_days_are_sums_of_their_hours(database: Database) -> None:
    quotes(database, NOW - timedelta(days=1), NOW - timedelta(days=1, hours=1), NOW - timedelta(hours=3), NOW - timedelta(minutes=1))

    assert rows_by_day(database, SOURCE, QUOTE, 3, NOW) == [0, 2, 1]


def test_old_outcomes_of_checks_are_let_go_in_batches_and_new_ones_stay(database: Database) -> None:
    with database.connect("owner") as connection:
        connection.execute("DELETE FROM quality.check_result")
        connection.execute(
            "INSERT INTO quality.check_result (run_id, ledger, source, name, dimension, severity, passed, score, expected, rows,"
            " window_from, window_to, recorded_at) SELECT %s, 'glass', 'glass_counted', 'check_' || n, 'accuracy', 'info', true, 1, '', 0,"
            " now(), now(), %s - n * interval '1 h' FROM generate_series(1, 12000) AS n",
            [uuid4(), NOW],
        )

    purged = purge_check_results(database, NOW - timedelta(hours=100), time.monotonic() + 60)

    with database.connect("owner") as connection:
        kept = connection.execute("SELECT count(*), min(recorded_at) FROM quality.check_result").fetchone()
        connection.execute("DELETE FROM quality.check_result")
    assert (purged.count, purged.is_complete) == (11_900, True)
    assert kept == (100, NOW - timedelta(hours=100))
