"""Reading the past: whole days, one run for a range, by command and by Dagster partitions."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from sandboxed import impatient, one

from omc_infra.errors import BadInputError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.history import collect_history
from omc_pipeline.collection.replay import replay
from omc_pipeline.collection.window import Window
from omc_pipeline.definitions import build_definitions
from omc_pipeline.orchestration.history import history_assets
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.sandbox import serving

SOURCES = discover_sources()
FEAR_GREED, DEFILLAMA = SOURCES["human_fear_greed"], SOURCES["glass_defillama"]
OMC = [sys.executable, "-c", "from omc_infra.cli import main; main()"]


@pytest.fixture(scope="module")
def sandboxed(settings: Settings) -> Iterator[Settings]:
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def _ago(days: int) -> date:
    return (datetime.now(UTC) - timedelta(days=days)).date()


def _days_of(database: Database, table: str, source: str) -> set[date]:
    with database.connect("reader") as connection:
        query = f"SELECT DISTINCT (observed_at AT TIME ZONE 'UTC')::date FROM {table} WHERE source = %s"
        return {day for (day,) in connection.execute(query, [source])}


def test_a_range_of_days_brings_these_days_and_no_others(database: Database, sandboxed: Settings) -> None:
    source = dataclasses.replace(impatient(FEAR_GREED), name="human_ranged")

    collection = collect_history(source, database, sandboxed, Window.of_days(_ago(20), _ago(11)))

    assert _days_of(database, "human.sentiment", source.name) == {_ago(age) for age in range(11, 21)}
    assert collection.tables["human.sentiment"].inserted == 10


def test_history_brings_prices_and_protocols_of_each_day(database: Database, sandboxed: Settings) -> None:
    source = dataclasses.replace(impatient(DEFILLAMA), name="glass_ranged")
    days = {_ago(age) for age in range(3, 8)}

    collect_history(source, database, sandboxed, Window.of_days(min(days), max(days)))

    assert _days_of(database, "glass.coin_price", source.name) == days
    assert _days_of(database, "glass.protocol_tvl", source.name) == days
    assert _days_of(database, "glass.chain_tvl", source.name) == days
    assert one(database, "SELECT count(DISTINCT symbol) FROM glass.coin_price WHERE source = %s", source.name) == 8


def test_a_range_collected_again_changes_nothing_and_neither_does_its_replay(database: Database, sandboxed: Settings) -> None:
    source = dataclasses.replace(impatient(FEAR_GREED), name="human_again")
    window = Window.of_days(_ago(9), _ago(5))

    first = collect_history(source, database, sandboxed, window)
    again = collect_history(source, database, sandboxed, window)
    replayed = replay(source, database, datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))

    assert (first.tables["human.sentiment"].inserted, again.tables["human.sentiment"].inserted) == (5, 0)
    assert (replayed.rows, replayed.tables["human.sentiment"].inserted) == (10, 0)


def test_the_past_does_not_change_from_where_the_live_collection_goes_on(database: Database, sandboxed: Settings) -> None:
    source = dataclasses.replace(impatient(FEAR_GREED), name="human_both")
    collect(source, database, sandboxed)
    before = one(database, "SELECT max(observed_at) FROM human.sentiment WHERE source = %s", source.name)

    collect_history(source, database, sandboxed, Window.of_days(_ago(30), _ago(25)))

    assert one(database, "SELECT max(observed_at) FROM human.sentiment WHERE source = %s", source.name) == before


def test_what_has_no_past_or_none_so_old_says_so(database: Database, sandboxed: Settings) -> None:
    with pytest.raises(BadInputError, match="catalyst_sec_edgar can't collect past days"):
        collect_history(SOURCES["catalyst_sec_edgar"], database, sandboxed, Window.of_days(_ago(3), _ago(2)))
    with pytest.raises(BadInputError, match="from 2018-02-01 on only, not from 2017-01-01"):
        collect_history(FEAR_GREED, database, sandboxed, Window.of_days(date(2017, 1, 1), _ago(2)))


def test_a_backfill_of_many_partitions_is_one_run_and_one_question(database: Database, sandboxed: Settings) -> None:
    source = dataclasses.replace(impatient(FEAR_GREED), name="human_backfilled")
    (asset,) = history_assets([source])
    assert asset.backfill_policy == dg.BackfillPolicy.single_run()

    result = dg.materialize(
        [asset],
        resources={"platform": Platform(variables=sandboxed.environ())},
        tags={"dagster/asset_partition_range_start": _ago(30).isoformat(), "dagster/asset_partition_range_end": _ago(1).isoformat()},
    )

    assert len(result.asset_materializations_for_node("human__backfilled_history")) == 30
    assert len(_days_of(database, "human.sentiment", source.name)) == 30
    assert one(database, "SELECT count(*) FROM raw.fetch WHERE source = %s", source.name) == 1


def test_sources_with_a_past_have_a_partitioned_asset_beside_the_live_one() -> None:
    definitions = build_definitions()
    graph = definitions.resolve_asset_graph()

    partitioned = {key.to_user_string() for key in graph.get_all_asset_keys() if key.path[-1].endswith("_history")}

    assert partitioned == {
        "human/fear_greed_history",
        "human/fear_greed_trend_history",
        "human/sentiment_history",
        "catalyst/coinspot_listings_history",
        "glass/defillama_history",
        "glass/market_candles_history",
        "glass/fx_history",
        "glass/coin_prices_history",
    }
    assert all(graph.get(dg.AssetKey(key.split("/"))).partitions_def for key in partitioned)
    assert graph.get(dg.AssetKey(["human", "fear_greed"])).partitions_def is None


def _omc(*arguments: str, settings: Settings) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", **settings.environ()}
    return subprocess.run([*OMC, *arguments], capture_output=True, text=True, env=environ, timeout=120, check=False)


def test_a_person_collects_a_range_by_command(database: Database, sandboxed: Settings) -> None:
    answer = _omc("collect", "human_fear_greed", "--from", _ago(12).isoformat(), "--to", _ago(3).isoformat(), "--json", settings=sandboxed)

    document = json.loads(answer.stdout)
    assert answer.returncode == 0, answer.stderr
    assert document["tables"]["human.sentiment"] == {"inserted": 10, "changed": 0, "unchanged": 0}
    assert document["payloads"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("exchange_coinspot_prices", "--from", "2026-01-01"), "can't collect past days"),
        (("human_fear_greed", "--from", "2026-01-02", "--to", "2026-01-01"), "before its start"),
        (("human_fear_greed", "--to", "2026-01-01"), "--from"),
        (("human_fear_greed", "--from", "2010-01-01"), "2018-02-01"),
        (("human_fear_greed", "--from", "2026-01-01", "--payload", "x.json"), "--payload"),
    ],
)
def test_a_range_that_makes_no_sense_is_one_line_and_exit_code_2(settings: Settings, arguments: tuple[str, ...], said: str) -> None:
    answer = _omc("collect", *arguments, settings=settings)

    assert answer.returncode == 2
    assert said in answer.stderr
    assert answer.stderr.count("\n") == 1
