"""Each endpoint of a source is collected for itself: one that fails keeps no other from being asked."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from sandboxed import impatient, one, spoil

from omc_infra.errors import AccessDeniedError, UpstreamRefusedError, UpstreamUnavailableError
from omc_infra.payload import Payload
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.cadence import due_endpoints
from omc_pipeline.collection.collecting import collect, collect_endpoints, first_failure
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.source import Endpoint, FetchContext, Source
from omc_pipeline.ledgers.glass import COIN_PRICE, PROTOCOL_FEES, PROTOCOL_TVL
from omc_pipeline.quality import run_source_checks, run_suites
from omc_pipeline.sandbox import serving

SOURCES = discover_sources()
DEFILLAMA, FEAR_GREED = SOURCES["glass_defillama"], SOURCES["human_fear_greed"]


@pytest.fixture(scope="module")
def sandboxed(settings: Settings) -> Iterator[Settings]:
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def _rows(database: Database, table: str, source: str) -> int:
    return int(one(database, f"SELECT count(*) FROM {table} WHERE source = %s", source))


def _named(source: Source, name: str, *endpoints: Endpoint) -> Source:
    return dataclasses.replace(impatient(source), name=name, endpoints=endpoints or source.endpoints)


def test_a_host_that_is_down_does_not_keep_the_other_hosts_of_its_source_from_being_asked(database: Database, sandboxed: Settings) -> None:
    source = _named(DEFILLAMA, "glass_half_down")
    spoil(sandboxed, "defillama_coins", "500")

    with pytest.raises(UpstreamUnavailableError, match="prices/current"):
        collect(source, database, sandboxed)

    assert _rows(database, "glass.coin_price", source.name) == 0
    assert _rows(database, "glass.protocol_fees", source.name) > 0
    assert one(database, "SELECT count(DISTINCT protocol) FROM glass.protocol_tvl WHERE source = %s", source.name) == 6


def test_a_host_that_is_dead_turns_its_check_red_at_once_and_alerts_within_two_cadences_although_the_other_host_answers(
    database: Database, sandboxed: Settings
) -> None:
    source, hour = _named(DEFILLAMA, "glass_dead_host"), timedelta(hours=1)
    began = datetime.now(UTC)
    collect(source, database, sandboxed)
    spoil(sandboxed, "defillama_coins", "500")
    failed = collect_endpoints(source, database, sandboxed, lambda: began + hour)  # the next tick of all endpoints
    assert [outcome.endpoint for outcome in failed if outcome.failure] == ["prices"]

    at_once = {o.name: o for o in run_source_checks(database, source, began + hour)}
    before_two = run_suites(database, [source], sandboxed, began + 1.95 * hour)

    assert (at_once["endpoints_answer"].passed, at_once["endpoints_answer"].value) == (False, pytest.approx(5 / 6))
    assert before_two.ledgers["glass"].scores is not None
    assert before_two.ledgers["glass"].scores.timeliness_score < sandboxed.alert_threshold
    assert "timeliness" in {alert.dimension for alert in before_two.alerts}


def test_what_came_of_each_endpoint_is_told_apart(database: Database, sandboxed: Settings) -> None:
    source = _named(DEFILLAMA, "glass_told_apart")
    spoil(sandboxed, "defillama_coins", "malformed")

    outcomes = {outcome.endpoint: outcome for outcome in collect_endpoints(source, database, sandboxed)}

    assert {name for name, outcome in outcomes.items() if outcome.failure} == {"prices"}
    assert outcomes["fees"].collection.tables["glass.protocol_fees"].inserted > 0
    assert outcomes["fees"].collection.tables["glass.protocol_tvl"].rows == 0
    assert outcomes["protocols"].collection.payloads == 6
    assert all(outcome.seconds > 0 for outcome in outcomes.values())


def test_of_several_failures_a_permanent_one_decides_that_nothing_is_tried_again(database: Database, sandboxed: Settings) -> None:
    def down(_: FetchContext) -> Iterator[Payload]:
        raise UpstreamUnavailableError("is down", retry_after_s=7)
        yield

    def refused(_: FetchContext) -> Iterator[Payload]:
        raise AccessDeniedError("is refused")
        yield

    first, second = (dataclasses.replace(FEAR_GREED.endpoints[0], name=name, fetch=down) for name in ("first", "second"))
    third = dataclasses.replace(first, name="third", fetch=refused)

    transient = first_failure(collect_endpoints(_named(FEAR_GREED, "human_down", first, second), database, sandboxed))
    mixed = first_failure(collect_endpoints(_named(FEAR_GREED, "human_mixed", first, third), database, sandboxed))

    assert isinstance(transient, UpstreamUnavailableError)
    assert transient.retry_after_s == 7
    assert str(transient) == "first: is down; second: is down"
    assert isinstance(mixed, AccessDeniedError)
    assert str(mixed) == "first: is down; third: is refused"


def test_an_endpoint_that_fetches_nothing_is_a_failure_beside_others_that_do(database: Database, sandboxed: Settings) -> None:
    silent = dataclasses.replace(FEAR_GREED.endpoints[0], name="silent", fetch=lambda _: iter(()))
    source = _named(FEAR_GREED, "human_silent", silent, FEAR_GREED.endpoints[0])

    with pytest.raises(UpstreamRefusedError, match="no payload"):
        collect(source, database, sandboxed)

    assert _rows(database, "human.sentiment", source.name) > 0


def test_an_endpoint_is_asked_since_the_newest_row_of_the_tables_it_fills(database: Database, sandboxed: Settings) -> None:
    seen: dict[str, datetime | None] = {}

    def watched(endpoint: Endpoint) -> Endpoint:
        def fetch(context: FetchContext) -> Iterator[Payload]:
            seen[endpoint.name] = context.since
            assert endpoint.fetch is not None
            return endpoint.fetch(context)

        return dataclasses.replace(endpoint, fetch=fetch)

    source = _named(DEFILLAMA, "glass_since", *map(watched, DEFILLAMA.endpoints))
    collect(source, database, sandboxed)
    asked_first = dict(seen)
    collect(source, database, sandboxed)

    newest = {
        table: one(database, f"SELECT max(observed_at) FROM {table.qualified} WHERE source = %s AND recorded_at < now()", source.name)
        for table in (COIN_PRICE, PROTOCOL_FEES, PROTOCOL_TVL)
    }
    assert asked_first == dict.fromkeys(("prices", "fees", "revenue", "days", "protocols", "chains"))
    assert seen["fees"] == newest[PROTOCOL_FEES]
    assert seen["protocols"] == newest[PROTOCOL_TVL]
    assert seen["prices"] is not None


def test_each_fetch_names_its_endpoint(database: Database, sandboxed: Settings) -> None:
    source = _named(DEFILLAMA, "glass_named_fetches")
    collect(source, database, sandboxed)

    with database.connect("reader") as connection:
        asked = connection.execute(
            "SELECT DISTINCT split_part(split_part(url, '/', 3), '?', 1), context->>'endpoint' FROM raw.fetch WHERE source = %s",
            [source.name],
        ).fetchall()

    assert set(asked) == {
        ("prices", "prices"),
        ("overview", "fees"),
        ("overview", "revenue"),
        ("summary", "days"),
        ("protocol", "protocols"),
        ("v2", "chains"),
    }


def test_only_the_endpoints_whose_cadence_names_the_tick_are_asked() -> None:
    slow, quick = (dataclasses.replace(FEAR_GREED.endpoints[0], name=cron, cron=cron) for cron in ("*/10 * * * *", "* * * * *"))
    source = dataclasses.replace(FEAR_GREED, endpoints=(slow, quick))
    noon = datetime(2026, 9, 21, 12, 0, tzinfo=UTC)

    assert list(due_endpoints(source, noon)) == [slow, quick]
    assert list(due_endpoints(source, noon.replace(minute=1))) == [quick]
    assert list(due_endpoints(source, None)) == [slow, quick]
    assert source.crons == ("*/10 * * * *", "* * * * *")


def test_a_table_is_judged_by_the_fastest_endpoint_that_fills_it() -> None:
    slow, quick = (
        dataclasses.replace(FEAR_GREED.endpoints[0], name=name, every_s=every_s) for name, every_s in (("slow", 600), ("quick", 60))
    )
    source = dataclasses.replace(FEAR_GREED, endpoints=(slow, quick))

    assert source.every_s_of(source.tables[0]) == 60
    assert source.every_s == 60
