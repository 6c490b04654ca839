"""What the database holds, what it gained, and where that leads; counted on real tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from omc_infra.postgres.database import Database
from omc_infra.postgres.growth import Growth, TableGrowth, measure_growth, table_sizes

NOW = datetime(2026, 9, 21, 4, 40, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def nothing_measured(database: Database) -> None:
    with database.connect("owner") as owner:
        owner.execute("DELETE FROM omc.table_size")


def _add_quotes(database: Database, count: int) -> None:
    with database.connect("owner") as owner:
        owner.execute(
            "INSERT INTO exchange.quote (source, symbol, currency, observed_at, last, version, row_sha256)"
            " SELECT 'growth', gen_random_uuid()::text, 'AUD', now(), 1, 1, repeat('x', 64) FROM generate_series(1, %s)",
            [count],
        )


def _remember(database: Database, at: datetime, table: str, size_bytes: int, rows: int) -> None:
    schema, name = table.split(".")
    with database.connect("writer") as writer:
        writer.execute("INSERT INTO omc.table_size VALUES (%s, %s, %s, %s, %s, true)", [at, schema, name, size_bytes, rows])


def _of(found: Growth, name: str) -> TableGrowth:
    return next(table for table in found.tables if f"{table.now.schema}.{table.now.table}" == name)


def test_every_table_is_measured_with_its_indexes_and_its_rows_counted(database: Database) -> None:
    before = {(size.schema, size.table): size for size in table_sizes(database)}
    _add_quotes(database, 1_000)

    after = {(size.schema, size.table): size for size in table_sizes(database)}

    with database.connect("owner") as owner:
        named = owner.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema|partitions$)'"
        ).fetchall()
        size = owner.execute("SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('exchange.quote')").fetchone()
    quotes = "exchange", "quote"
    assert set(after) == {(str(schema), str(table)) for schema, table in named}
    assert after[quotes].rows - before[quotes].rows == 1_000
    assert (after[quotes].size_bytes,) == size
    assert {name for name, size in after.items() if not size.is_exact} == {("agents", "session_token")}, "read by nobody"


def test_dagsters_tables_and_users_rows_are_counted_too(database: Database) -> None:
    with database.connect("dagster") as dagster:
        dagster.execute("CREATE TABLE IF NOT EXISTS dagster.event_logs (id bigint)")
        dagster.execute("INSERT INTO dagster.event_logs SELECT generate_series(1, 7)")
    with database.connect("owner") as owner:
        owner.execute(
            "INSERT INTO exchange.balance (source, user_id, account_id, symbol, observed_at, qty, version, row_sha256)"
            " VALUES ('growth', 'ada', 'a', 'BTC', now(), 1, 1, 'x')"
        )

    counted = {f"{size.schema}.{size.table}": (size.rows, size.is_exact) for size in table_sizes(database)}

    assert counted["dagster.event_logs"] == (7, True)
    assert counted["exchange.balance"] == (1, True)


def test_partitions_count_as_the_table_they_belong_to(database: Database) -> None:
    with database.connect("owner") as owner:
        owner.execute("CREATE TABLE glass.parted (n int) PARTITION BY LIST (n)")
        for n in (1, 2):
            owner.execute(f"CREATE TABLE glass.parted_{n} PARTITION OF glass.parted FOR VALUES IN ({n})")
        owner.execute("INSERT INTO glass.parted VALUES (1), (2), (2)")
        owner.execute("ANALYZE glass.parted_1, glass.parted_2")

    found = [size for size in table_sizes(database) if size.table.startswith("parted")]

    with database.connect("owner") as owner:
        owner.execute("DROP TABLE glass.parted")
    assert [(size.table, size.rows, size.is_exact) for size in found] == [("parted", 3, False)], "no grant: the planner's estimate"


def test_rows_of_a_large_table_are_estimated(database: Database) -> None:
    _add_quotes(database, 500)
    with database.connect("owner") as owner:
        owner.execute("ANALYZE exchange.quote")
        exact = owner.execute("SELECT count(*) FROM exchange.quote").fetchone()

    quotes = next(size for size in table_sizes(database, counted_up_to_bytes=8192) if size.table == "quote")

    assert not quotes.is_exact
    assert (quotes.rows,) == exact


def test_the_first_measurement_has_nothing_to_compare_with(database: Database) -> None:
    found = measure_growth(database, NOW)

    assert (found.since, found.grown_bytes, found.projected_bytes) == (None, None, None)
    assert found.history == [(NOW, found.size_bytes)]


def test_growth_is_counted_since_the_measurement_of_the_day_before(database: Database) -> None:
    first = _of(measure_growth(database, NOW - DAY), "exchange.quote").now
    _add_quotes(database, 2_000)

    found = measure_growth(database, NOW)

    quotes = _of(found, "exchange.quote")
    assert found.since == NOW - DAY
    assert quotes.grown_rows == 2_000
    assert quotes.grown_bytes == quotes.now.size_bytes - first.size_bytes > 0
    assert _of(found, "human.sentiment").grown_bytes == 0
    assert found.grown_bytes is not None
    assert found.grown_bytes >= quotes.grown_bytes
    assert [moment for moment, _ in found.history] == [NOW - DAY, NOW]


def test_the_projection_takes_the_pace_of_a_week(database: Database) -> None:
    size = next(size for size in table_sizes(database) if size.table == "sentiment").size_bytes
    for days, gained in ((30, 0), (7, 1_000), (1, 1_000)):
        _remember(database, NOW - days * DAY, "human.sentiment", size - gained, 0)

    sentiment = _of(measure_growth(database, NOW), "human.sentiment")

    assert sentiment.grown_bytes == 1_000
    assert sentiment.projected_bytes == round(1_000 / 7 * 30)


def test_a_measurement_of_an_hour_ago_is_too_young_to_compare_with(database: Database) -> None:
    measure_growth(database, NOW - timedelta(hours=1))

    found = measure_growth(database, NOW)

    assert (found.since, found.projected_bytes) == (None, None)


def test_a_table_that_is_new_since_yesterday_has_grown_from_nothing(database: Database) -> None:
    _remember(database, NOW - DAY, "human.sentiment", 8192, 0)

    quotes = _of(measure_growth(database, NOW), "exchange.quote")

    assert (quotes.grown_bytes, quotes.grown_rows) == (quotes.now.size_bytes, quotes.now.rows)


def test_two_measurements_at_the_same_moment_are_one(database: Database) -> None:
    measure_growth(database, NOW)
    again = measure_growth(database, NOW)

    assert len(again.history) == 1
