"""Names of jobs, what is due at a tick, and on what the assets of profit and loss depend."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.cadence import is_due
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.source import Source
from omc_pipeline.definitions import build_definitions
from omc_pipeline.orchestration.collection import asset_key
from omc_pipeline.orchestration.pnl import POSITIONS, VALUATION
from omc_pipeline.orchestration.resources import Platform

SOURCES = dict(discover_sources())


def added(name: str, like: str, **changes: Any) -> dict[str, Source]:
    endpoints = tuple(dataclasses.replace(endpoint, **changes) for endpoint in SOURCES[like].endpoints)
    return {**SOURCES, name: dataclasses.replace(SOURCES[like], name=name, endpoints=endpoints)}


def without_others(sources: dict[str, Source]) -> dict[str, Source]:
    """Return the sources without those of the catalyst ledger that tick on cadences of their own."""
    return {name: source for name, source in sources.items() if name not in SOURCES or source.ledger != "catalyst" or "edgar" in name}


def requests_at(tick: datetime, job: str, sources: dict[str, Source], settings: Settings) -> list[dg.RunRequest]:
    """Evaluate a job's schedule as the daemon does."""
    platform = Platform(variables=settings.environ())
    repository = build_definitions(sources, platform).get_repository_def()
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_schedule_context(
            instance=instance, scheduled_execution_time=tick, repository_def=repository, resources={"platform": platform}
        ) as context,
    ):
        return list(repository.get_schedule_def(f"{job}_schedule").evaluate_tick(context).run_requests or [])


def names_of(sources: dict[str, Source]) -> tuple[set[str], set[str]]:
    definitions = build_definitions(sources)
    return {job.name for job in definitions.jobs or ()}, {schedule.name for schedule in definitions.schedules or ()}


@pytest.mark.parametrize("cron", ["* * * * *", "5 * * * *", "30 3 * * *"])
@pytest.mark.parametrize("ledger", ["glass", "human", "catalyst"])
def test_a_source_that_is_added_to_a_ledger_renames_no_job_and_no_schedule(ledger: str, cron: str) -> None:
    like = next(name for name in SOURCES if name.startswith(ledger))

    assert names_of(added(f"{ledger}_added", like, cron=cron)) == names_of(SOURCES)


@pytest.mark.parametrize("like", ["exchange_coinspot_account", "exchange_coinspot_prices"])
def test_a_source_that_runs_alone_adds_its_own_job_and_renames_none(like: str) -> None:
    jobs, schedules = names_of(added("exchange_added", like))

    before_jobs, before_schedules = names_of(SOURCES)
    assert (jobs - before_jobs, before_jobs - jobs) == ({"collect_exchange_added"}, set())
    assert (schedules - before_schedules, before_schedules - schedules) == ({"collect_exchange_added_schedule"}, set())


def test_the_jobs_of_the_first_release_keep_their_names() -> None:
    jobs, _ = names_of(SOURCES)

    assert {
        "collect_glass",
        "collect_human",
        "collect_catalyst",
        "collect_exchange_coinspot_account",
        "collect_exchange_coinspot_prices",
        "value_positions",
        "snapshot_positions",
        "score_ledgers",
        "maintain_ledgers",
    } <= jobs


@pytest.mark.parametrize(
    ("minute", "expected"),
    [(0, {"catalyst/sec_edgar", "catalyst/added"}), (7, {"catalyst/added"}), (10, {"catalyst/sec_edgar", "catalyst/added"})],
)
def test_a_tick_collects_the_sources_that_are_due_and_no_others(
    minute: int, expected: set[str], database: Database, settings: Settings
) -> None:
    sources = added("catalyst_added", "catalyst_sec_edgar", cron="* * * * *")
    slow = SOURCES["catalyst_sec_edgar"]
    sources = without_others(
        {**sources, slow.name: dataclasses.replace(slow, endpoints=(dataclasses.replace(slow.endpoint("submissions"), tables=()),))}
    )

    (request,) = requests_at(datetime(2026, 11, 27, 9, minute, tzinfo=UTC), "collect_catalyst", sources, settings)

    chosen = {key.to_user_string() for key in request.asset_selection or ()} or {"catalyst/sec_edgar", "catalyst/added"}
    assert chosen == expected


def test_a_partial_run_still_computes_what_depends_on_its_sources_and_judges_them(database: Database, settings: Settings) -> None:
    sources = added("exchange_second", "exchange_coinspot_prices", sample_every_s=None, cron="5 * * * *")
    third = added("exchange_third", "exchange_coinspot_prices", sample_every_s=None, cron="* * * * *")["exchange_third"]
    sources = {**sources, third.name: third}
    definitions = build_definitions(sources)

    (request,) = requests_at(datetime(2026, 11, 27, 9, 6, tzinfo=UTC), "collect_exchange", sources, settings)

    assert request.asset_selection is not None
    assert request.asset_selection == [asset_key(sources["exchange_third"]), VALUATION]
    part = definitions.resolve_job_def("collect_exchange").get_subset(asset_selection=frozenset(request.asset_selection))
    assert {node.name for node in part.nodes} == {"exchange__third", "exchange_third_suite", "pnl__valuation"}


def test_positions_depend_on_every_source_of_fills_and_valuation_on_every_source_of_quotes() -> None:
    sources = added("exchange_other_account", "exchange_coinspot_account")
    sources["exchange_other_prices"] = dataclasses.replace(SOURCES["exchange_coinspot_prices"], name="exchange_other_prices")

    specs = {
        spec.key: {dep.asset_key.to_user_string() for dep in spec.deps} for spec in build_definitions(sources).resolve_all_asset_specs()
    }

    assert specs[POSITIONS] == {"exchange/ccxt_account", "exchange/coinspot_account", "exchange/other_account"}
    assert specs[VALUATION] == {"pnl/positions", "exchange/coinspot_prices", "exchange/other_prices"}


def test_a_source_ticks_whenever_one_of_its_endpoints_is_due(database: Database, settings: Settings) -> None:
    known = dataclasses.replace(SOURCES["catalyst_sec_edgar"].endpoint("submissions"), tables=())
    feed = dataclasses.replace(known, name="feed", cron="3-59/10 * * * *")
    edgar = dataclasses.replace(SOURCES["catalyst_sec_edgar"], endpoints=(known, feed))
    other = dataclasses.replace(edgar, name="catalyst_other", endpoints=(known,))
    sources = without_others({**SOURCES, edgar.name: edgar, other.name: other})
    schedule = build_definitions(sources).resolve_schedule_def("collect_catalyst_schedule")

    ticks = [datetime(2026, 11, 27, 9, minute, tzinfo=UTC) for minute in (0, 3, 4)]
    runs = [requests_at(tick, "collect_catalyst", sources, settings) for tick in ticks]

    assert list(schedule.cron_schedule) == ["*/10 * * * *", "3-59/10 * * * *"]
    assert [[request.asset_selection for request in requests] for requests in runs] == [[None], [[asset_key(edgar)]], []]


@pytest.mark.parametrize(
    ("cron", "tick", "expected"),
    [
        ("*/10 * * * *", datetime(2026, 11, 27, 9, 20, tzinfo=UTC), True),
        ("*/10 * * * *", datetime(2026, 11, 27, 9, 21, tzinfo=UTC), False),
        ("15 0 * * *", datetime(2026, 11, 27, 0, 15, tzinfo=UTC), True),
        ("15 0 * * *", datetime(2026, 11, 27, 1, 15, tzinfo=UTC), False),
    ],
)
def test_a_cron_schedule_is_due_at_its_own_minutes(cron: str, tick: datetime, expected: bool) -> None:
    assert is_due(cron, tick) is expected
