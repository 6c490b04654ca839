"""What schedules launch: nothing that is not configured, paused or banned; and how a wrong file is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._utils.schedules import cron_string_iterator

from omc_infra.errors import OmcError, PayloadChangedError, RateLimitedError
from omc_infra.http import HeaderKey
from omc_infra.payload import Payload
from omc_infra.postgres.database import Database, open_database
from omc_infra.postgres.migrate import migrate
from omc_infra.settings import Settings, load_settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import FetchContext, Parsed, Source
from omc_pipeline.collection.state import CollectorKey, pause, record_failure, record_success, resume, states
from omc_pipeline.definitions import build_definitions
from omc_pipeline.orchestration.resources import Platform

SOURCES = discover_sources()
START = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
KEYS = {"OMC_KEY_COINSPOT": "k", "OMC_KEY_COINSPOT_SECRET": "s", "OMC_CONTACT": "someone@example.org"}


@pytest.fixture(scope="module")
def live(settings: Settings, server_url: str) -> Settings:
    url = server_url.replace("{database}", "t_launching_live")
    made = load_settings({"OMC_HOME": str(settings.home), "OMC_DATABASE_URL": url, "OMC_PROFILE": "live"})
    with open_database(made, check=False) as opened:
        migrate(opened)
    return made


def _first(crons: str | Sequence[str]) -> str:
    return crons if isinstance(crons, str) else crons[0]


def _asked(variables: dict[str, str], job: str, sources: dict[str, Source] | None = None) -> list[dg.RunRequest] | str:
    """Evaluate a schedule as the daemon does, and return its requests, or why there are none."""
    platform = Platform(variables=variables)
    repository = build_definitions(sources, platform=platform).get_repository_def()
    schedule = repository.get_schedule_def(f"{job}_schedule")
    tick = next(cron_string_iterator(START.timestamp(), _first(schedule.cron_schedule), "UTC"))
    with (
        dg.instance_for_test() as instance,
        dg.build_schedule_context(
            instance=instance, scheduled_execution_time=tick, repository_def=repository, resources={"platform": platform}
        ) as context,
    ):
        data = schedule.evaluate_tick(context)
    return list(data.run_requests or []) or str(data.skip_message)


def _pair() -> dict[str, Source]:
    """Return two sources that share a cadence, one of which needs a key."""
    known = SOURCES["human_fear_greed"]
    assert known.policy is not None
    values = dataclasses.replace(known, endpoints=(dataclasses.replace(known.endpoints[0], cron="* * * * *"),))
    policy = dataclasses.replace(known.policy, auth=HeaderKey("X-Key", "papers"))
    return {values.name: values, "human_keyed": dataclasses.replace(values, name="human_keyed", policy=policy, title="Papers")}


def test_a_live_source_without_its_key_starts_no_run(live: Settings) -> None:
    said = _asked(live.environ(), "collect_exchange_coinspot_account")

    assert said == "exchange_coinspot_account is not configured: set OMC_KEY_COINSPOT and OMC_KEY_COINSPOT_SECRET"
    edgar = {"catalyst_sec_edgar": SOURCES["catalyst_sec_edgar"]}
    assert _asked(live.environ(), "collect_catalyst", edgar) == "catalyst_sec_edgar is not configured: set OMC_CONTACT"


def test_with_its_key_it_does(live: Settings) -> None:
    assert len(_asked({**live.environ(), **KEYS}, "collect_exchange_coinspot_account")) == 1


def test_of_several_sources_those_that_may_are_collected(live: Settings) -> None:
    with_key = _asked({**live.environ(), "OMC_KEY_PAPERS": "k"}, "collect_human", _pair())
    without = _asked(live.environ(), "collect_human", _pair())

    assert [request.asset_selection for request in with_key] == [None]  # type: ignore[union-attr]
    assert [request.asset_selection for request in without] == [[dg.AssetKey(["human", "fear_greed"])]]  # type: ignore[union-attr]


def test_a_paused_or_banned_source_starts_no_run_and_the_tick_says_why(database: Database, settings: Settings) -> None:
    key, now = CollectorKey("glass_defillama"), datetime.now(UTC)
    with database.connect("writer") as connection:
        pause(connection, key, by="ada", now=now, reason="too noisy")
        while_paused = _asked(settings.environ(), "collect_glass", {key.source: SOURCES[key.source]})
        resume(connection, key)
        record_failure(connection, key, RateLimitedError("slow", retry_after_s=600), now=now, pause_after=0)
        while_banned = _asked(settings.environ(), "collect_glass", {key.source: SOURCES[key.source]})
        record_success(connection, key, rows=1, seconds=1, now=now)
        afterwards = _asked(settings.environ(), "collect_glass", {key.source: SOURCES[key.source]})

    assert while_paused == "glass_defillama is paused by ada (too noisy); `omc sources resume glass_defillama`"
    assert "glass_defillama waits until" in while_banned
    assert len(afterwards) == 1


def test_a_source_that_is_not_configured_says_so_in_its_asset(live: Settings) -> None:
    def metadata(variables: dict[str, str]) -> dict[str, Any]:
        graph = build_definitions(platform=Platform(variables=variables)).resolve_asset_graph()
        return dict(graph.get(dg.AssetKey(["exchange", "coinspot_account"])).metadata)

    without, with_keys = metadata(live.environ()), metadata({**live.environ(), **KEYS})

    assert without["configured"].value is False
    assert "OMC_KEY_COINSPOT" in without["not_configured"].value
    assert with_keys["configured"].value is True
    assert "not_configured" not in with_keys


class _Failing:
    """A source whose fetch fails as told."""

    def __init__(self, error: OmcError) -> None:
        self.error, self.asked = error, 0

    def fetch(self, context: FetchContext) -> Iterator[Payload]:
        self.asked += 1
        raise self.error
        yield

    def sources(self) -> dict[str, Source]:
        def parse(payload: Payload, config: SourceConfig) -> Parsed:
            return Parsed([])

        values = SOURCES["human_fear_greed"]
        endpoints = (dataclasses.replace(values.endpoints[0], fetch=self.fetch),)
        return {"human_failing": dataclasses.replace(values, name="human_failing", endpoints=endpoints, parse=parse)}


def _run(variables: dict[str, str], sources: dict[str, Source], job: str = "collect_human") -> dg.ExecuteInProcessResult:
    definitions = build_definitions(sources, platform=Platform(variables=variables))
    return definitions.resolve_job_def(job).execute_in_process(raise_on_error=False)


def _failure(result: dg.ExecuteInProcessResult) -> str:
    (event,) = result.filter_events(lambda event: event.is_step_failure)
    details = event.step_failure_data
    return str(details.user_failure_data.description if details.user_failure_data else details.error)


def test_a_source_that_fails_for_good_is_paused_after_so_many_runs_and_its_run_says_so(database: Database, settings: Settings) -> None:
    failing = _Failing(PayloadChangedError("human_failing: no list"))
    variables = {**settings.environ(), "OMC_PAUSE_AFTER_FAILURES": "2", "OMC_SANDBOX_URL": "http://127.0.0.1:1"}

    said = [_failure(_run(variables, failing.sources())) for _ in range(2)]
    tick = _asked(variables, "collect_human", failing.sources())

    assert said[0] == "human_failing: no list"
    assert "human_failing/index is paused by omc (2 permanent failures in a row" in said[1]
    assert "human_failing/index is paused by omc" in tick
    assert failing.asked == 2


def test_each_run_reads_the_file_as_it_is_at_its_start(database: Database, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    variables = {**settings.environ(), "OMC_CONFIG": str(file), "OMC_SANDBOX_URL": "http://127.0.0.1:1"}
    seen: list[float] = []

    @dg.asset
    def looking(platform: Platform) -> None:
        seen.append(platform.settings.alert_threshold)
        file.write_text("[settings]\nalert_threshold = 0.11\n")
        seen.append(platform.settings.alert_threshold)

    for threshold in (0.4, 0.6):
        file.write_text(f"[settings]\nalert_threshold = {threshold}\n")
        assert dg.materialize([looking], resources={"platform": Platform(variables=variables)}).success

    assert seen == [0.4, 0.4, 0.6, 0.6], "one run sees one configuration, the next run the file as it is then"


def test_a_file_that_became_wrong_fails_runs_with_its_line_at_once_and_nothing_else(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    variables = {**settings.environ(), "OMC_CONFIG": str(file), "OMC_SANDBOX_URL": "http://127.0.0.1:1"}
    failing = _Failing(PayloadChangedError("never asked"))
    file.write_text("[settings]\nalert_treshold = 0.4\n")

    tick = _asked(variables, "collect_human", failing.sources())
    result = _run(variables, failing.sources())
    with database.connect("reader") as connection:
        known = states(connection).of(CollectorKey("human_failing", "index"))

    assert len(tick) == 1, "the run is launched, so that it can say what is wrong"
    assert not result.success
    assert _failure(result).startswith(f"{file}:2: settings.alert_treshold: no such key; allowed: ")
    assert not result.filter_events(lambda event: event.event_type_value == "STEP_UP_FOR_RETRY")
    assert failing.asked == 0
    assert known.last_failure_at is None or known.failure_class == "PayloadChangedError"
    file.write_text("[settings]\nalert_threshold = 0.4\n")
    assert "never asked" in _failure(_run(variables, failing.sources())), "mended, the next run goes on"


def test_a_wait_that_an_upstream_asks_for_outlives_the_collection(database: Database, settings: Settings) -> None:
    (failing,) = _Failing(RateLimitedError("slow down", retry_after_s=600)).sources().values()
    slow, before = dataclasses.replace(failing, name="human_slow"), datetime.now(UTC)

    with pytest.raises(RateLimitedError):
        collect(slow, database, settings.model_copy(update={"sandbox_url": "http://127.0.0.1:1"}))

    with database.connect("reader") as connection:
        state = states(connection).of(CollectorKey("human_slow", "index"))
    assert state.next_allowed_at is not None
    assert timedelta(seconds=600) <= state.next_allowed_at - before < timedelta(seconds=660)
    assert "waits until" in _asked(settings.environ(), "collect_human", {"human_slow": slow})


def test_scoring_records_what_the_platform_can_collect_and_gives_no_score_without_it(live: Settings) -> None:
    edgar = {"catalyst_sec_edgar": SOURCES["catalyst_sec_edgar"]}
    (asset,) = (
        asset
        for asset in build_definitions(edgar, platform=Platform(variables=live.environ())).assets or ()
        if isinstance(asset, dg.AssetsDefinition) and asset.keys == {dg.AssetKey(["quality", "catalyst"])}
    )

    result = dg.materialize([asset], resources={"platform": Platform(variables=live.environ())})

    metadata = result.asset_materializations_for_node("quality__catalyst")[0].metadata
    assert metadata["configured"].value is False
    assert metadata["overall_score"].value is None
    assert all(check.passed for check in result.get_asset_check_evaluations())
    with open_database(live) as opened, opened.connect("reader") as connection:
        known = states(connection).of(CollectorKey("catalyst_sec_edgar"))
    assert (known.is_configured, known.not_configured_reason) == (False, "catalyst_sec_edgar is not configured: set OMC_CONTACT")
