"""Candles over real HTTP into a real database: what forms is replaced, late trades are a version, and nothing is asked for in vain."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sandboxed import one

from omc_infra.errors import UpstreamRefusedError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.history import collect_history
from omc_pipeline.collection.window import Window
from omc_pipeline.sandbox import serving

SOURCE = discover_sources()["glass_market_candles"]
CONFIG = SOURCE.config.model_validate({"pairs": ["BTC/AUD"], "repeated": 3})
ONE_MINUTE = (SOURCE.endpoint("1m"),)


class _Now:
    def __init__(self) -> None:
        self.moment = datetime(2026, 9, 17, 15, 30, 20, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def clock() -> _Now:
    return _Now()


@pytest.fixture
def sandboxed(settings: Settings, clock: _Now) -> Iterator[Settings]:
    with serving(settings, clock) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def _forming(database: Database, at: datetime) -> list[tuple[int, bool]]:
    with database.connect("reader") as connection:
        return connection.execute(
            "SELECT version, is_final FROM glass.market_candle WHERE symbol = 'BTC' AND interval = '5m' AND opened_at = %s"
            " ORDER BY version",
            [at],
        ).fetchall()


def test_a_candle_that_forms_is_replaced_by_its_final_version(database: Database, sandboxed: Settings, clock: _Now) -> None:
    five = (SOURCE.endpoint("5m"),)
    opened = clock.moment.replace(minute=30, second=0)
    collect(SOURCE, database, sandboxed, clock, config=CONFIG, endpoints=five)
    clock.moment += timedelta(minutes=5)

    collect(SOURCE, database, sandboxed, clock, config=CONFIG, endpoints=five)

    assert _forming(database, opened) == [(1, False), (2, True)]
    assert _forming(database, opened - timedelta(minutes=5)) == [(1, True)]


def test_a_market_is_asked_for_what_is_new_and_for_few_candles_before_it(database: Database, sandboxed: Settings, clock: _Now) -> None:
    collect(SOURCE, database, sandboxed, clock, config=CONFIG, endpoints=ONE_MINUTE)
    clock.moment += timedelta(minutes=1)

    again = collect(SOURCE, database, sandboxed, clock, config=CONFIG, endpoints=ONE_MINUTE)

    assert again.rows <= 6
    assert again.tables["glass.market_candle"].inserted == 1


def test_a_market_that_is_new_in_the_configuration_gets_what_the_venue_still_has(
    database: Database, sandboxed: Settings, clock: _Now
) -> None:
    collect(SOURCE, database, sandboxed, clock, config=CONFIG, endpoints=ONE_MINUTE)
    more = SOURCE.config.model_validate({"pairs": ["BTC/AUD", "DOGE/USD"]})

    collect(SOURCE, database, sandboxed, clock, config=more, endpoints=(SOURCE.endpoint("all"),))

    assert one(database, "SELECT count(DISTINCT interval) FROM glass.market_candle WHERE symbol = 'DOGE'") == 4


def test_a_day_of_the_past_gets_its_candles_and_one_that_nobody_has_any_more_is_refused(
    database: Database, sandboxed: Settings, clock: _Now
) -> None:
    day, long_ago = clock.moment.date() - timedelta(days=3), date(2015, 1, 5)

    done = collect_history(SOURCE, database, sandboxed, Window.of_days(day, day), clock, config=CONFIG)

    assert done.rows > 20
    assert done.observed_from == datetime.combine(day, datetime.min.time(), UTC)
    with pytest.raises(UpstreamRefusedError, match="none of them as old as 2015-01-05"):
        collect_history(SOURCE, database, sandboxed, Window.of_days(long_ago, long_ago), clock)
