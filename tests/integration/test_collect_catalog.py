"""What is collected by hand is in Dagster's catalog, and a source that was red is not any more."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log import SqlEventLogStorage

from omc_infra.postgres.database import Database
from omc_infra.runs.instance import open_catalog
from omc_infra.settings import Settings
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.source import Source
from omc_pipeline.definitions import build_definitions
from omc_pipeline.orchestration.accounts import forget_accounts
from omc_pipeline.orchestration.collection import asset_key
from omc_pipeline.orchestration.history import history_key
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.quality.fold import folded_checks
from omc_pipeline.quality.suite import suite_of

pytestmark = pytest.mark.slow

SOURCES = discover_sources()
OMC = (str(Path(sys.executable).parent / "omc"),)


def _collect(settings: Settings, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", **settings.environ()}
    return subprocess.run(
        [*OMC, "collect", name, *arguments, "--json"], capture_output=True, text=True, env=environ, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def instance(database: Database, tmp_path_factory: pytest.TempPathFactory) -> dg.DagsterInstance:
    folder = tmp_path_factory.mktemp("dagster")
    url = database.url("dagster", driver="psycopg2", search_path="dagster")
    (folder / "dagster.yaml").write_text(yaml.safe_dump({"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}}))
    return dg.DagsterInstance.from_config(str(folder))


def test_a_home_without_dagsters_tables_collects_as_before(database: Database, settings: Settings) -> None:
    with open_catalog(database) as catalog:
        assert catalog is None

    collected = _collect(settings, "human_fear_greed")

    assert collected.returncode == 0
    assert json.loads(collected.stdout)["rows"] > 0


def _failing(source: Source) -> Source:
    def fetch(_: object) -> None:
        raise RuntimeError("broken")

    return dataclasses.replace(source, endpoints=tuple(dataclasses.replace(each, fetch=fetch) for each in source.endpoints))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["human_fear_greed", "exchange_coinspot_account"])
def test_a_source_collected_by_hand_has_a_materialization_and_results_of_all_its_checks(
    name: str, settings: Settings, instance: dg.DagsterInstance
) -> None:
    source = SOURCES[name]
    key = asset_key(source)
    failed = build_definitions({name: _failing(source)}, Platform(variables=settings.environ()))
    if not source.per_account:
        red = failed.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=[key], raise_on_error=False
        )
        assert not red.success

    collected = _collect(settings, name)

    assert (collected.returncode, "not in Dagster's catalog" in collected.stderr) == (0, False), collected.stderr
    (details,) = instance.fetch_materializations(key, limit=5).records
    assert details.asset_materialization is not None
    assert details.asset_materialization.metadata["rows"].value == json.loads(collected.stdout)["rows"]
    assert (details.partition_key is not None) == source.per_account
    checks = [dg.AssetCheckKey(key, check.name) for check in folded_checks(suite_of(source))]
    results = instance.event_log_storage.get_latest_asset_check_execution_by_key(checks)
    assert set(results) == set(checks)
    if source.per_account:
        _assert_forgotten(instance, str(details.partition_key))
        return
    newest = {record.event.asset_check_evaluation.target_materialization_data.storage_id for record in results.values()}  # type: ignore[union-attr]
    assert newest == {details.storage_id}


def test_a_range_of_the_past_collected_by_hand_fills_its_partitions(settings: Settings, instance: dg.DagsterInstance) -> None:
    source = SOURCES["human_fear_greed"]
    last = datetime.now(UTC).date() - timedelta(days=2)
    first = last - timedelta(days=2)

    collected = _collect(settings, source.name, "--from", str(first), "--to", str(last))

    assert (collected.returncode, "not in Dagster's catalog" in collected.stderr) == (0, False), collected.stderr
    wanted = [str(first + timedelta(days=day)) for day in range(3)]
    assert sorted(instance.get_materialized_partitions(history_key(source))) == wanted


def _assert_forgotten(instance: dg.DagsterInstance, account: str) -> None:
    """Erasing an account takes what was reported of it out of the catalog, the results of its checks included."""
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    with storage.index_connection() as connection:
        of_account = "FROM event_logs WHERE run_id = '' AND event LIKE '%coinspot_account%'"
        checks = "SELECT count(*) FROM asset_check_executions WHERE asset_key LIKE '%coinspot_account%'"
        before = [connection.exec_driver_sql(query.replace("%", "%%")).scalar_one() for query in (f"SELECT count(*) {of_account}", checks)]

        forget_accounts(instance, [account])

        after = [connection.exec_driver_sql(query.replace("%", "%%")).scalar_one() for query in (f"SELECT count(*) {of_account}", checks)]
    assert min(before) > 0
    assert after == [0, 0]
