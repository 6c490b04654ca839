"""Rows derived from the ledger: incremental, the same whatever the order, computed anew on demand, by the way all rows take."""

from __future__ import annotations

import dataclasses
import json
import random
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from omc_infra.errors import UpstreamRefusedError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection import derived
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.history import collect_history
from omc_pipeline.collection.replay import replay
from omc_pipeline.collection.sections import source_config
from omc_pipeline.collection.source import Source
from omc_pipeline.collection.tally import Collection
from omc_pipeline.collection.window import Window
from omc_pipeline.definitions import build_definitions
from omc_pipeline.ledgers.human import Sentiment
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.ledgers.write import append
from omc_pipeline.quality.run import run_source_checks
from omc_pipeline.quality.suite import check_specs

TREND = discover_sources()["human_fear_greed_trend"]
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
WEEK = source_config(TREND, {"days": [7]})
EVER = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def _pair(name: str) -> tuple[str, Source]:
    """Return an index of its own, and the trend that is derived from it alone."""
    endpoint = TREND.endpoints[0]
    assert endpoint.reads is not None
    reads = dataclasses.replace(endpoint.reads, sources=(f"human_{name}",))
    return f"human_{name}", dataclasses.replace(TREND, name=f"human_{name}_trend", endpoints=(dataclasses.replace(endpoint, reads=reads),))


def _write(database: Database, index: str, scores: dict[int, int]) -> None:
    """Append scores by age in days."""
    rows = [Sentiment("MARKET", "fear_greed", TODAY - timedelta(days=age), Decimal(score), None) for age, score in scores.items()]
    with database.connect("writer") as connection, connection.transaction():
        append(connection, index, rows, None)


def _rows(database: Database, source: str) -> dict[date, tuple[Decimal, str, int]]:
    """Return mean, label and version of each day's latest version."""
    with database.connect("reader") as connection:
        found = connection.execute(
            "SELECT DISTINCT ON (observed_at, metric) (observed_at AT TIME ZONE 'UTC')::date, score, label, version FROM human.sentiment"
            " WHERE source = %s ORDER BY observed_at, metric, version DESC",
            [source],
        ).fetchall()
    return {day: (score, label, version) for day, score, label, version in found}


def _derive(database: Database, settings: Settings, source: Source, **options: Any) -> Collection:
    return collect(source, database, settings, config=source_config(source, options) if options else WEEK)


def _day(age: int) -> date:
    return (TODAY - timedelta(days=age)).date()


def test_the_mean_of_a_week_stands_for_each_day_that_has_a_whole_week_behind_it(database: Database, settings: Settings) -> None:
    index, trend = _pair("plain")
    _write(database, index, {age: 50 - age for age in range(10)})

    _derive(database, settings, trend)

    rows = _rows(database, trend.name)
    assert {day: score for day, (score, *_) in rows.items()} == {_day(age): Decimal(47 - age) for age in range(4)}
    assert {day: label for day, (_, label, _) in rows.items()} == {_day(0): "rising", _day(1): "rising", _day(2): "rising", _day(3): "flat"}


def test_a_run_computes_only_what_new_rows_touch(database: Database, settings: Settings) -> None:
    index, trend = _pair("little")
    _write(database, index, dict.fromkeys(range(1, 40), 50))
    first = _derive(database, settings, trend)
    _write(database, index, {0: 57})

    second = _derive(database, settings, trend)

    assert first.tables["human.sentiment"].inserted == 33
    assert second.tables["human.sentiment"] == dataclasses.replace(second.tables["human.sentiment"], inserted=1, changed=0, unchanged=0)
    assert _rows(database, trend.name)[_day(0)][0] == 51


def test_a_row_that_comes_late_changes_the_days_that_look_back_on_it(database: Database, settings: Settings) -> None:
    index, trend = _pair("late")
    _write(database, index, {age: 50 for age in range(40) if age != 20})
    _derive(database, settings, trend)
    missing = {_day(age) for age in range(34)} - set(_rows(database, trend.name))
    _write(database, index, {20: 43})

    _derive(database, settings, trend)

    rows = _rows(database, trend.name)
    assert missing == {_day(age) for age in range(14, 21)}
    assert {rows[day][0] for day in missing} == {Decimal(49)}
    assert {day for day, (_, _, version) in rows.items() if version > 1} == {_day(13)}, "its label no longer lacks the day before"


def test_a_corrected_row_gives_new_versions_and_a_run_without_news_gives_none(database: Database, settings: Settings) -> None:
    index, trend = _pair("corrected")
    _write(database, index, dict.fromkeys(range(10), 50))
    _derive(database, settings, trend)
    _write(database, index, {0: 64})

    corrected, idle = _derive(database, settings, trend), _derive(database, settings, trend)

    assert corrected.tables["human.sentiment"].changed == 1
    assert (idle.tables["human.sentiment"].inserted, idle.tables["human.sentiment"].changed) == (0, 0)
    assert idle.payloads == 1, "that somebody looked is a fetch"
    assert _rows(database, trend.name)[_day(0)] == (Decimal(52), "rising", 2)


@pytest.mark.parametrize("seed", range(4))
def test_many_small_runs_in_any_order_give_what_one_run_gives(database: Database, settings: Settings, seed: int) -> None:
    rng = random.Random(seed)
    index, trend = _pair(f"pieces_{seed}")
    whole_index, whole = _pair(f"whole_{seed}")
    scores = {age: rng.randrange(101) for age in range(60) if rng.random() < 0.95}
    pieces = list(scores.items())
    rng.shuffle(pieces)
    while pieces:
        taken, pieces = pieces[: rng.randrange(1, 12)], pieces[12:] if len(pieces) > 12 else []
        _write(database, index, dict(taken))
        _derive(database, settings, trend)
        _write(database, whole_index, dict(taken))

    _derive(database, settings, whole)

    assert {day: row[:2] for day, row in _rows(database, trend.name).items()} == {
        day: row[:2] for day, row in _rows(database, whole.name).items()
    }


def test_no_row_is_passed_over_whose_writer_had_stamped_it_and_not_committed_it(database: Database, settings: Settings) -> None:
    index, trend = _pair("racing")
    _write(database, index, {age: 50 for age in range(21) if age != 10})
    late = [Sentiment("MARKET", "fear_greed", TODAY - timedelta(days=10), Decimal(57), None)]
    thread = threading.Thread(target=lambda: _derive(database, settings, trend))

    with database.connect("writer") as connection, connection.transaction():
        append(connection, index, late, None)
        thread.start()
        thread.join(1)
    thread.join()
    _derive(database, settings, trend)

    rows = _rows(database, trend.name)
    assert {_day(age): rows[_day(age)][0] for age in range(4, 11)} == {_day(age): Decimal(51) for age in range(4, 11)}


def test_other_options_begin_again_from_nothing(database: Database, settings: Settings) -> None:
    index, trend = _pair("options")
    _write(database, index, dict.fromkeys(range(10), 50))
    _derive(database, settings, trend)

    other = _derive(database, settings, trend, days=[3])

    assert other.tables["human.sentiment"].inserted == 8


def test_a_range_is_computed_anew_from_what_the_input_holds(database: Database, settings: Settings) -> None:
    index, trend = _pair("again")
    _write(database, index, dict.fromkeys(range(30), 50))
    _derive(database, settings, trend)
    with database.connect("owner") as connection:
        connection.execute("DELETE FROM human.sentiment WHERE source = %s", [trend.name])

    collection = collect_history(trend, database, settings, Window.of_days(_day(9), _day(5)), config=WEEK)

    assert collection.tables["human.sentiment"].inserted == 5
    assert set(_rows(database, trend.name)) == {_day(age) for age in range(5, 10)}


def test_derived_rows_are_replayed_from_the_body_they_were_computed_from(database: Database, settings: Settings) -> None:
    index, trend = _pair("replayed")
    _write(database, index, dict.fromkeys(range(10), 50))
    _derive(database, settings, trend)

    replayed = replay(trend, database, *EVER)

    assert (replayed.rows, replayed.tables["human.sentiment"].unchanged) == (4, 4)
    with database.connect("reader") as connection:
        (body,) = connection.execute(
            "SELECT url FROM raw.fetch JOIN human.sentiment s USING (payload_sha256) WHERE s.source = %s LIMIT 1", [trend.name]
        ).fetchone()  # type: ignore[misc]
    assert body.startswith("ledger:human.sentiment?window=")


def test_a_long_input_is_written_in_several_bodies(database: Database, settings: Settings) -> None:
    index, trend = _pair("long")
    _write(database, index, dict.fromkeys(range(derived.SPANS_A_BODY + 50), 50))

    collection = _derive(database, settings, trend)

    assert collection.payloads == 2
    assert len(_rows(database, trend.name)) == derived.SPANS_A_BODY + 44


def test_an_input_without_rows_is_a_failure_and_never_an_empty_success(database: Database, settings: Settings) -> None:
    _, trend = _pair("empty")

    with pytest.raises(UpstreamRefusedError, match=r"human_empty in human\.sentiment"):
        _derive(database, settings, trend)


def test_derived_rows_have_the_checks_of_their_table(database: Database, settings: Settings) -> None:
    index, trend = _pair("checked")
    _write(database, index, {age: 40 + age for age in range(40)})
    _derive(database, settings, trend)

    outcomes = {outcome.name: outcome for outcome in run_source_checks(database, trend, datetime.now(UTC))}

    assert set(outcomes) == {spec.name for spec in check_specs(TREND)}
    failed = [outcome.name for outcome in outcomes.values() if not outcome.passed]
    assert failed == []
    assert outcomes["looked"].judged


def test_the_platform_computes_it_in_the_run_that_collected_its_input_after_it() -> None:
    definitions = build_definitions()
    graph = definitions.resolve_asset_graph()
    trend, index = dg.AssetKey(["human", "fear_greed_trend"]), dg.AssetKey(["human", "fear_greed"])

    job = definitions.resolve_job_def("collect_human")

    assert index in graph.get(trend).parent_keys
    assert {trend, index} <= set(job.asset_layer.selected_asset_keys)


def test_a_body_is_plain_json_with_numbers_as_decimal_text(database: Database, settings: Settings) -> None:
    index, trend = _pair("plainly")
    _write(database, index, dict.fromkeys(range(8), 50))
    _derive(database, settings, trend)

    with database.connect("writer") as connection:
        connection.autocommit = True
        (payload,) = PostgresRawStore(connection).stored(trend.name, *EVER)

    document = json.loads(payload.body)
    assert document["table"] == "human.sentiment"
    assert {row["score"] for row in document["rows"]} == {"50"}
    assert {row["source"] for row in document["rows"]} == {index}
