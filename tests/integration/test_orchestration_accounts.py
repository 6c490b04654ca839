"""Each account is a partition with runs of its own; one that is red stops its own user only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest
import yaml
from pydantic import SecretStr

from omc_infra.clock import utc_now
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.accounts import add_account, default_account, set_state
from omc_pipeline.definitions import build_definitions
from omc_pipeline.ledgers.exchange import Fill
from omc_pipeline.ledgers.write import append
from omc_pipeline.orchestration.accounts import accounts_to_collect, forget_accounts, partitions_of
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.sandbox import serving
from omc_pipeline.sources.exchange_coinspot_account import SOURCE

JOB = f"collect_{SOURCE.name}"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
PARTITIONS = f"accounts_{SOURCE.name}"


@pytest.fixture(scope="module")
def sandboxed(settings: Settings, database: Database) -> Iterator[Settings]:
    """Run a sandbox for the module, with accounts of two users."""
    with database.connect("writer") as connection:
        default_account(connection, "ada", SOURCE.name, SOURCE.venue)
        default_account(connection, "bob", SOURCE.name, SOURCE.venue)
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url, "user": "ada"})


@pytest.fixture(scope="module")
def instance(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    folder = tmp_path_factory.mktemp("dagster")
    url = database.url("dagster", driver="psycopg2", search_path="dagster")
    (folder / "dagster.yaml").write_text(yaml.safe_dump({"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}}))
    with dg.DagsterInstance.from_config(str(folder)) as opened:
        yield opened


@pytest.fixture(scope="module")
def definitions(sandboxed: Settings) -> dg.Definitions:
    return build_definitions(platform=Platform(variables=sandboxed.environ()))


def requested(definitions: dg.Definitions, instance: dg.DagsterInstance, settings: Settings) -> list[str]:
    schedule = definitions.resolve_schedule_def(f"{JOB}_schedule")
    resources = {"platform": Platform(variables=settings.environ())}
    tick = utc_now().replace(minute=0, second=0, microsecond=0)
    repository = definitions.get_repository_def()
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=tick, resources=resources, repository_def=repository
    ) as context:
        return [str(request.partition_key) for request in schedule.evaluate_tick(context).run_requests or ()]


def run(definitions: dg.Definitions, instance: dg.DagsterInstance, job: str, account: str | None = None) -> dg.ExecuteInProcessResult:
    if account is not None:
        instance.add_dynamic_partitions(PARTITIONS, [account])
    return definitions.resolve_job_def(job).execute_in_process(QUIET, instance=instance, partition_key=account, raise_on_error=False)


def rows(database: Database, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with database.connect("reader") as connection:
        return connection.execute(statement, values).fetchall()


def red(result: dg.ExecuteInProcessResult) -> list[str]:
    return [e.check_name for e in result.get_asset_check_evaluations() if not e.passed and e.severity is dg.AssetCheckSeverity.ERROR]


def test_a_tick_asks_for_a_run_of_every_active_account_and_makes_it_a_partition(
    database: Database, definitions: dg.Definitions, instance: dg.DagsterInstance, sandboxed: Settings
) -> None:
    with database.connect("writer") as connection:
        add_account(connection, "cid", SOURCE.venue, SOURCE.name, "cid-paused")
        set_state(connection, "cid-paused", "paused", "ann")

    asked = requested(definitions, instance, sandboxed)

    assert asked == ["coinspot", "bob-coinspot"]
    assert set(asked) <= set(instance.get_dynamic_partitions(PARTITIONS))


def test_an_account_without_its_keys_is_not_asked_for_in_the_live_profile(database: Database, sandboxed: Settings) -> None:
    keys = {"coinspot__bob_coinspot": SecretStr("k"), "coinspot_secret__bob_coinspot": SecretStr("s")}
    live = sandboxed.model_copy(update={"profile": "live", "keys": keys})

    assert [account.account_id for account in accounts_to_collect(database, live, SOURCE)] == ["bob-coinspot"]


def test_a_run_collects_one_account_and_computes_its_user_only(
    database: Database, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    result = run(definitions, instance, JOB, "coinspot")

    assert (result.success, red(result)) == (True, [])
    assert rows(database, "SELECT DISTINCT user_id FROM exchange.fill") == [("ada",)]
    assert rows(database, "SELECT DISTINCT user_id FROM pnl.run") == [("ada",)]
    event = result.asset_materializations_for_node("exchange__coinspot_account")[0]
    assert event.partition == "coinspot"


@pytest.mark.slow
def test_a_red_account_stops_its_own_user_until_it_is_well_and_others_go_on(
    database: Database, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    zero, at = Decimal(0), utc_now()
    wrong = Fill("wrong", "bob", "bob-coinspot", "BTC", "AUD", "buy", Decimal(1), Decimal(1), Decimal(500), zero, "AUD", at)
    with database.connect("writer") as connection:
        append(connection, SOURCE.name, [wrong], None)

    of_bob = run(definitions, instance, JOB, "bob-coinspot")
    of_ada = run(definitions, instance, JOB, "coinspot")
    run(definitions, instance, "value_positions")

    assert red(of_bob)
    assert (of_ada.success, red(of_ada)) == (True, [])
    assert rows(database, "SELECT DISTINCT user_id FROM pnl.run") == [("ada",)]
    ((account, reason),) = rows(database, "SELECT account_id, held_reason FROM exchange.account WHERE held_at IS NOT NULL")
    assert account == "bob-coinspot"
    assert "arithmetic" in reason

    with database.connect("writer") as connection:
        append(connection, SOURCE.name, [dataclasses.replace(wrong, quote_amount=Decimal(1))], None)
    mended = run(definitions, instance, JOB, "bob-coinspot")

    assert (mended.success, red(mended)) == (True, [])
    assert rows(database, "SELECT count(*) FROM exchange.account WHERE held_at IS NOT NULL") == [(0,)]
    assert rows(database, "SELECT DISTINCT user_id FROM pnl.run ORDER BY 1") == [("ada",), ("bob",)]


def test_where_users_are_divided_into_buckets_an_account_still_has_its_own_run(database: Database, sandboxed: Settings) -> None:
    several = build_definitions(platform=Platform(variables={**sandboxed.environ(), "OMC_USER_BUCKETS": "3"}))

    assert several.resolve_job_def(JOB).partitions_def == partitions_of(SOURCE)
    assert several.resolve_job_def("value_positions").partitions_def is not None


@pytest.mark.slow
def test_forgetting_an_account_deletes_its_partition_and_its_runs(
    definitions: dg.Definitions, instance: dg.DagsterInstance, sandboxed: Settings
) -> None:
    run(definitions, instance, JOB, "coinspot")
    run(definitions, instance, JOB, "bob-coinspot")

    assert forget_accounts(instance, ["bob-coinspot"]) >= 1

    assert not instance.has_dynamic_partition(PARTITIONS, "bob-coinspot")
    left = {record.tags["dagster/partition"] for record in instance.get_runs() if "dagster/partition" in record.tags}
    assert left == {"coinspot"}
