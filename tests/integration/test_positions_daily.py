"""What a position was at the end of each day, and how users are divided among runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.definitions import build_definitions
from omc_pipeline.ledgers.exchange import Fill, Quote
from omc_pipeline.ledgers.table import Row
from omc_pipeline.ledgers.write import append
from omc_pipeline.orchestration.buckets import Buckets, tags_of_all_buckets
from omc_pipeline.orchestration.pnl import POSITIONS
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.positions import compute_positions, summary
from omc_pipeline.positions.snapshot import Snapshots, snapshot_positions
from omc_pipeline.positions.users import red_exceptions, stale_users, users_with_fills

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
D = Decimal


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    return request.node.name.removeprefix("test_")[:60]


def store(database: Database, *rows: Row) -> None:
    with database.connect("writer") as connection:
        append(connection, "venue", rows, None)


def fill(user: str, number: int, side: str, qty: str, price: str, day: float, symbol: str) -> Fill:
    at = T0 + timedelta(days=day)
    return Fill(f"{user}-{number}", user, "main", symbol, "AUD", side, D(qty), D(price), D(qty) * D(price), D(0), "AUD", at)


def quote(symbol: str, price: str, day: float) -> Quote:
    return Quote(symbol, "AUD", T0 + timedelta(days=day), D(price), D(price), None)


def days(database: Database, user: str) -> Sequence[Any]:
    with database.connect("reader") as connection:
        return connection.execute(
            "SELECT day - date '2026-03-01', version, qty, realized, value, unrealized FROM pnl.snapshot"
            " WHERE user_id = %s ORDER BY day, version",
            (user,),
        ).fetchall()


def test_every_day_that_something_was_held_or_happened_is_kept_at_its_last_quote(database: Database, user: str) -> None:
    store(database, quote("AAA", "10", -0.4), quote("AAA", "12", 0.3), quote("AAA", "15", 2.6))
    store(database, fill(user, 1, "buy", "2", "9", 0, "AAA"), fill(user, 2, "sell", "2", "14", 3, "AAA"))
    compute_positions(database, user)

    written = snapshot_positions(database, user, date(2026, 3, 8))

    assert written == Snapshots(added=4, restated=0)
    assert days(database, user) == [(0, 1, 2, 0, 24, 6), (1, 1, 2, 0, 24, 6), (2, 1, 2, 0, 24, 6), (3, 1, 0, 10, 0, 0)]


def test_the_same_days_again_add_nothing_and_the_present_day_has_no_end_yet(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "9", 0, "BBB"))
    compute_positions(database, user)

    first, again = (snapshot_positions(database, user, date(2026, 3, 3)) for _ in range(2))

    assert (first, again) == (Snapshots(2, 0), Snapshots(0, 0))
    assert [row[4] for row in days(database, user)] == [None, None], "without a quote the value is unknown, not zero"


def test_a_late_fill_gives_the_days_after_it_a_new_version_and_leaves_the_old_one(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "9", 0, "CCC"))
    compute_positions(database, user)
    snapshot_positions(database, user, date(2026, 3, 4))

    store(database, fill(user, 2, "buy", "1", "9", 1, "CCC"))
    compute_positions(database, user)
    written = snapshot_positions(database, user, date(2026, 3, 5))

    assert written == Snapshots(added=1, restated=2)
    assert [row[:3] for row in days(database, user)] == [(0, 1, 2), (1, 1, 2), (1, 2, 3), (2, 1, 2), (2, 2, 3), (3, 1, 3)]


def test_only_users_with_something_new_are_computed(database: Database, user: str) -> None:
    store(database, fill(user, 1, "buy", "2", "9", 0, "DDD"), fill(f"{user}-b", 1, "sell", "2", "9", 0, "DDD"))
    assert {user, f"{user}-b"} <= {stale for stale, _ in stale_users(database)}

    compute_positions(database, user)

    stale = [who for who, _ in stale_users(database)]
    assert user not in stale
    assert f"{user}-b" in stale
    assert {user, f"{user}-b"} <= set(users_with_fills(database))
    compute_positions(database, f"{user}-b")
    assert [row.kind for row in red_exceptions(database, [user, f"{user}-b"])] == ["oversell"]


def test_buckets_divide_all_users_and_each_has_one() -> None:
    buckets = Buckets(7)
    users = [f"user{number}" for number in range(500)]

    of = {bucket: [user for user in users if buckets.of(user) == bucket] for bucket in buckets.names}

    assert sorted(user for group in of.values() for user in group) == sorted(users)
    assert min(len(group) for group in of.values()) > 30
    assert Buckets(1).partitions is None
    assert Buckets(1000).names[-1] == "999"


def test_a_run_of_one_bucket_computes_its_users_and_a_run_over_all_computes_the_rest(database: Database, settings: Settings) -> None:
    users = [f"bucketed{number}" for number in range(6)]
    store(database, *(fill(user, 1, "buy", "1", "5", 0, "EEE") for user in users))
    definitions = build_definitions(platform=Platform(variables={**settings.environ(), "OMC_USER_BUCKETS": "3"}))
    job = definitions.resolve_job_def("value_positions")
    buckets = Buckets(3)
    instance = dg.DagsterInstance.ephemeral()

    def computed() -> set[str]:
        return {user for user in users if user not in {stale for stale, _ in stale_users(database)}}

    one = job.execute_in_process(instance=instance, partition_key="1")
    of_one = computed()
    every = job.execute_in_process(instance=instance, tags=tags_of_all_buckets(job))

    assert one.success
    assert of_one == {user for user in users if buckets.of(user) == "1"} != set(users)
    assert every.success
    assert computed() == set(users)
    assert instance.get_materialized_partitions(POSITIONS) == set(buckets.names)
    assert summary(database, users[0]).cost == 5


def test_with_one_bucket_nothing_is_partitioned_and_with_several_a_tick_starts_a_run_for_each() -> None:
    def ticked(count: str) -> list[str | None]:
        definitions = build_definitions(platform=Platform(variables={"OMC_USER_BUCKETS": count}))
        assert (definitions.resolve_job_def("value_positions").partitions_def is None) == (count == "1")
        schedule = definitions.resolve_schedule_def("value_positions_schedule")
        context = dg.build_schedule_context(
            scheduled_execution_time=T0, instance=dg.DagsterInstance.ephemeral(), repository_def=definitions.get_repository_def()
        )
        return [request.partition_key for request in schedule.evaluate_tick(context).run_requests or ()]

    assert ticked("1") == [None]
    assert ticked("3") == ["0", "1", "2"]


def test_a_user_whose_policy_refuses_holds_up_no_other_and_makes_the_check_red(database: Database, settings: Settings) -> None:
    store(database, fill("refuser", 1, "buy", "1", "5", 0, "FFF"))
    compute_positions(database, "refuser", oversell_policy="refuse")
    store(database, fill("refuser", 2, "sell", "9", "5", 1, "FFF"), fill("honest", 1, "buy", "1", "5", 0, "FFF"))
    job = build_definitions(platform=Platform(variables=settings.environ())).resolve_job_def("value_positions")

    done = job.execute_in_process(instance=dg.DagsterInstance.ephemeral())

    assert done.success
    assert summary(database, "honest").cost == 5
    assert summary(database, "refuser").cost == 5  # as the last run left it
    (red,) = [result for result in done.get_asset_check_evaluations() if result.check_name == "no_open_exceptions"]
    assert not red.passed
    assert "by fifo in AUD were refused" in str(red.metadata["exceptions"].value)


def test_the_assets_tell_how_many_rows_there_are_when_nothing_changed_and_no_sum_or_name_of_one_user(
    database: Database, settings: Settings
) -> None:
    store(database, fill("first-user", 1, "buy", "1", "111", 0, "AAA"), fill("second-user", 1, "buy", "1", "222", 0, "AAA"))
    definitions = build_definitions(platform=Platform(variables=settings.environ()))
    instance = dg.DagsterInstance.ephemeral()
    job = definitions.resolve_job_def("value_positions")
    job.execute_in_process(instance=instance)

    again = job.execute_in_process(instance=instance)

    details = {event.asset_key.path[1]: event.materialization.metadata for event in again.get_asset_materialization_events()}
    assert details["positions"]["matches_added"].value == 0
    assert int(str(details["positions"]["dagster/row_count"].value)) >= 2
    summed = str(details["valuation"]["summary"].value)
    assert summed.splitlines()[0].startswith("| method | currency | users | realized")
    assert len(summed.splitlines()) == 3
    assert "333.00" not in summed.splitlines()[0]
    said = " ".join(str(record.event_log_entry.to_json()) for record in _all_events(instance))
    assert "first-user" not in said
    assert "second-user" not in said


def _all_events(instance: dg.DagsterInstance) -> list[dg.EventLogRecord]:
    return [
        record
        for kind in (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        for record in instance.get_event_records(dg.EventRecordsFilter(kind))
    ]
