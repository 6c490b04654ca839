"""News collected from the sandbox: each feed for itself, changed titles as versions, further feeds by configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from omc_infra.errors import PayloadChangedError, UpstreamUnavailableError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect, collect_endpoints
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.sections import source_config
from omc_pipeline.collection.source import Source
from omc_pipeline.collection.state import CollectorKey, pause
from omc_pipeline.orchestration.launching import launchable
from omc_pipeline.orchestration.resources import Platform
from omc_pipeline.sandbox.server import serving
from omc_pipeline.sources.human_news import FEEDS, feed_hosts
from tests.integration.sandboxed import impatient, one, spoil


@pytest.fixture(scope="module")
def sandboxed(settings: Settings) -> Iterator[Settings]:
    """Run a sandbox for the module."""
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def _news(name: str) -> Source:
    """Return the source under a name of its own, so that its rows are its own; it tries once and never waits."""
    quick: dict[str, Any] = {"attempts": 1, "requests_per_s": 1_000.0, "burst": 100}

    def hosts(config: Any) -> Any:
        return {feed: dataclasses.replace(policy, **quick) for feed, policy in feed_hosts(config).items()}

    return dataclasses.replace(impatient(discover_sources()["human_news"]), name=f"human_{name}", hosts_of=hosts)


def test_the_feeds_give_rows_once(database: Database, sandboxed: Settings) -> None:
    first = collect(_news("n1"), database, sandboxed)

    again = collect(_news("n1"), database, sandboxed)

    assert first.tables["human.news"].inserted >= 45
    assert again.tables["human.news"].inserted <= 3, "what was published meanwhile"
    assert one(database, "SELECT count(DISTINCT feed) FROM human.news WHERE source = 'human_n1'") == 3
    assert one(database, "SELECT count(*) FROM human.news WHERE source = 'human_n1' AND link LIKE '%%utm_%%'") == 0


def test_a_feed_that_fails_keeps_no_other_from_being_read(database: Database, sandboxed: Settings) -> None:
    source = _news("n2")
    spoil(sandboxed, "news", "malformed")

    outcomes = collect_endpoints(source, database, sandboxed)

    assert {outcome.endpoint: type(outcome.failure) for outcome in outcomes} == {
        "coindesk": PayloadChangedError,
        "cointelegraph": type(None),
        "decrypt": type(None),
    }
    assert one(database, "SELECT count(DISTINCT feed) FROM human.news WHERE source = 'human_n2'") == 2


def test_further_feeds_are_read_each_for_itself_and_known_ones_can_be_left_out(database: Database, sandboxed: Settings) -> None:
    source = _news("n3")
    config = source_config(source, {"feeds": {"block": "https://block.invalid/rss.xml", "wire": "https://wire.invalid/feed?all=1"}})
    spoil(sandboxed, "news", "500")

    (outcome,) = collect_endpoints(source, database, sandboxed, config=config)

    assert outcome.endpoint == "further"
    assert isinstance(outcome.failure, UpstreamUnavailableError), "a failure of some counts for no pause of all"
    assert "1 of 2 failed: block" in str(outcome.failure)
    assert one(database, "SELECT string_agg(DISTINCT feed, ',') FROM human.news WHERE source = 'human_n3'") == "wire"


def test_a_changed_title_is_a_version_of_its_item(database: Database, sandboxed: Settings) -> None:
    source = _news("n4")
    spoil(sandboxed, "news", "late", count=3)
    collect(source, database, sandboxed)

    collect(source, database, sandboxed)

    changed = "SELECT count(*) FROM human.news n JOIN human.news o USING (source, feed, guid, published_at)"
    assert one(database, f"{changed} WHERE source = 'human_n4' AND n.version = 2 AND o.version = 1 AND n.title <> o.title") >= 1


def test_what_the_options_do_not_ask_for_launches_no_run(database: Database, settings: Settings) -> None:
    source, now = _news("n5"), datetime.now(UTC)
    with database.connect("writer") as connection:
        for feed in FEEDS:
            pause(connection, CollectorKey(source.name, feed), by="a test", now=now, until=None, reason="tried out")

    with dg.build_resources({"platform": Platform(variables=settings.environ())}) as resources:
        ready, reasons = launchable(resources.platform, [source], now)

    assert ready == [], "the endpoint of further feeds is not paused, and has none to read"
    assert "paused by a test" in reasons[0]
