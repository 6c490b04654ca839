"""What runs when, and what a run of it does: sampling, routing and the daily maintenance, as Dagster runs them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import yaml

from omc_agents.definitions import build_definitions as build_agents
from omc_infra.postgres.database import Database
from omc_infra.runs.routing import target_of
from omc_infra.settings import Settings
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.sampling import each_sample
from omc_pipeline.definitions import build_definitions
from omc_pipeline.orchestration import operations
from omc_pipeline.orchestration.collection import asset_key
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.sandbox import serving

QUOTES = discover_sources()["exchange_coinspot_prices"]


@pytest.fixture(scope="module")
def sandboxed(settings: Settings) -> Iterator[Settings]:
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


@pytest.fixture(scope="module")
def instance(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    folder = tmp_path_factory.mktemp("dagster")
    url = database.url("dagster", driver="psycopg2", search_path="dagster")
    (folder / "dagster.yaml").write_text(yaml.safe_dump({"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}}))
    with dg.DagsterInstance.from_config(str(folder)) as opened:
        yield opened


class _Clock:
    """A clock that stands still but for those who sleep by it."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


def test_a_scheduled_run_of_quotes_brings_six_samples_and_one_on_demand_brings_one(database: Database, sandboxed: Settings) -> None:
    tick = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=2)
    scheduled, on_demand = _Clock(tick + timedelta(seconds=1)), _Clock(tick + timedelta(minutes=1))

    samples = list(each_sample(QUOTES, database, sandboxed, tick, scheduled, scheduled.sleep))
    single = list(each_sample(QUOTES, database, sandboxed, None, on_demand, on_demand.sleep))

    seconds = [(sample.observed_to - tick).total_seconds() for sample in samples if sample.observed_to]
    assert seconds == [1, 10, 20, 30, 40, 50]
    assert [sample.tables["exchange.quote"].inserted > 0 for sample in samples] == [True] * 6
    assert (len(single), on_demand.slept) == (1, [])


@pytest.mark.slow
def test_the_asset_is_materialized_with_the_first_sample_and_the_others_are_an_observation(
    sandboxed: Settings, instance: dg.DagsterInstance
) -> None:
    quick = dataclasses.replace(QUOTES, endpoints=(dataclasses.replace(QUOTES.endpoints[0], every_s=6, sample_every_s=3),))
    definitions = build_definitions({quick.name: quick}, Platform(variables=sandboxed.environ()))
    tags = {".dagster/scheduled_execution_time": datetime.now(UTC).isoformat()}
    job = definitions.resolve_implicit_global_asset_job_def()

    done = job.execute_in_process(instance=instance, asset_selection=[asset_key(quick)], tags=tags)

    at = {
        kind: [r.timestamp for r in instance.get_event_records(dg.EventRecordsFilter(kind, asset_key=asset_key(quick)))]
        for kind in (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION)
    }
    ((materialized,), (observed,)) = at.values()
    assert done.success
    assert observed > materialized


def test_jobs_of_one_source_have_runs_that_a_list_tells_apart() -> None:
    shown = {job.name: job.tags or {} for job in build_definitions().jobs or ()}

    assert shown["collect_exchange_coinspot_account"]["source"] == "coinspot_account"
    assert shown["collect_exchange_coinspot_prices"]["source"] == "coinspot_prices"
    assert "source" not in shown["collect_glass"]


def test_every_source_is_sampled_in_equal_parts_of_its_cadence() -> None:
    for source in discover_sources().values():
        for endpoint in source.endpoints:
            if endpoint.sample_every_s is not None:
                assert endpoint.sample_every_s >= 5, source.name
                assert endpoint.every_s % endpoint.sample_every_s == 0, source.name
                assert endpoint.every_s > endpoint.sample_every_s, source.name


def test_collection_runs_are_light_their_backfills_and_maintenance_are_heavy() -> None:
    jobs = [*(build_definitions().jobs or ()), *(build_agents().jobs or ())]
    targets = {job.name: target_of(job.name, dict(job.tags or {})) for job in jobs}

    heavy = {name for name, target in targets.items() if target == "process"}
    assert heavy == {"maintain_ledgers", "maintain_sessions"}
    assert set(targets.values()) == {"warm", "process"}
    for job in jobs:
        assert target_of(job.name, {**(job.tags or {}), "dagster/backfill": "x"}) == "process", job.name


def test_sources_of_a_ledger_that_are_due_together_share_one_run() -> None:
    sources = discover_sources().values()
    expected = {f"collect_{each.name if each.per_account or each.sample_every_s else each.ledger}" for each in sources}

    collecting = [job.name for job in build_definitions().jobs or () if job.name.startswith("collect_")]

    assert sorted(collecting) == sorted(expected)


def test_both_locations_are_maintained_daily_from_the_first_start() -> None:
    schedules = {each.name: each for defs in (build_definitions(), build_agents()) for each in defs.schedules or ()}

    for name in ("maintain_ledgers_schedule", "maintain_sessions_schedule"):
        minute, hour, *rest = str(schedules[name].cron_schedule).split()
        assert minute.isdigit()
        assert hour.isdigit()
        assert rest == ["*", "*", "*"]
        assert schedules[name].default_status is dg.DefaultScheduleStatus.RUNNING


def test_the_maintenance_job_purges_and_reports_growth_with_a_plot_and_a_check(
    database: Database, sandboxed: Settings, instance: dg.DagsterInstance
) -> None:
    variables = {**sandboxed.environ(), "OMC_GROWTH_WARNING_GB": "0.000001"}
    old = dg.DagsterRun("nothing", run_id="0" * 32, status=dg.DagsterRunStatus.SUCCESS)
    instance.add_run(old)
    with database.connect("dagster") as connection:
        connection.execute("UPDATE dagster.runs SET update_timestamp = now() - interval '15 days'")
    with database.connect("writer") as connection:
        connection.execute("INSERT INTO omc.table_size VALUES (now() - interval '1 day', 'exchange', 'quote', 0, 0, true)")

    result = (
        build_definitions(platform=Platform(variables=variables)).resolve_job_def("maintain_ledgers").execute_in_process(instance=instance)
    )

    purged, grown = (result.asset_materializations_for_node(node)[0].metadata for node in ("operations__retention", "operations__growth"))
    checks = result.get_asset_check_evaluations()
    assert not instance.has_run(old.run_id)
    assert {name: purged[name].value for name in ("raw_bodies", "runs", "is_complete")} == {"raw_bodies": 0, "runs": 1, "is_complete": True}
    quotes = next(record.data for record in grown["tables"].value.records if record.data["name"] == "exchange.quote")  # type: ignore[union-attr]
    assert quotes["grown_rows"] == quotes["rows"]
    assert "data:image/svg+xml" in str(grown["history"].value)
    assert [(check.check_name, check.passed, check.severity) for check in checks] == [
        ("growth_within_limit", False, dg.AssetCheckSeverity.WARN)
    ]


def test_a_retention_of_no_days_keeps_everything(database: Database, sandboxed: Settings, instance: dg.DagsterInstance) -> None:
    variables = {**sandboxed.environ(), "OMC_KEEP_RUNS_DAYS": "0", "OMC_KEEP_PAYLOADS_DAYS": "0"}
    old = dg.DagsterRun("nothing", run_id="1" * 32, status=dg.DagsterRunStatus.SUCCESS)
    instance.add_run(old)
    with database.connect("dagster") as connection:
        connection.execute("UPDATE dagster.runs SET update_timestamp = now() - interval '5000 days' WHERE run_id = %s", [old.run_id])

    result = dg.materialize([operations.retention], instance=instance, resources={"platform": Platform(variables=variables)})

    assert result.success
    assert instance.has_run(old.run_id)
