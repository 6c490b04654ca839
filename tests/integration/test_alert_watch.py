"""A platform's own alerts: ticks that fail, runs that never start, channels that take nothing; and the heartbeat while all is well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import DagsterInstance
from dagster._core.scheduler.instigation import TickStatus
from http_upstream import Reply, Upstream, upstream
from pydantic import SecretStr
from sqlalchemy import text
from test_tick_watch import Sensor

from omc_infra.alerts import Cause, Finding
from omc_infra.alerts.store import open_alerts, settle_findings
from omc_infra.clock import utc_now
from omc_infra.delivery import Message
from omc_infra.delivery.outbox import queue
from omc_infra.postgres.database import Database
from omc_infra.runs.instance import open_instance
from omc_infra.services.alert_watch import AlertWatch
from omc_infra.services.run_watch import unstarted_runs
from omc_infra.settings import Settings

RUN = """
INSERT INTO dagster.runs (run_id, pipeline_name, status, run_body, create_timestamp, update_timestamp, start_time)
VALUES (%(id)s, %(job)s, %(status)s, '{}', %(at)s, %(at)s, %(start)s)
"""


@pytest.fixture(scope="module")
def instance(settings: Settings, database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterInstance]:
    own = settings.model_copy(update={"home": tmp_path_factory.mktemp("home")})
    with open_instance(own, database, None) as opened:
        yield opened


@dataclass
class Platform:
    """A watch over a database, whose platform is as well as a test says."""

    database: Database
    settings: Settings
    receiver: Upstream
    wrong: list[str] = field(default_factory=list)

    def watch(self) -> AlertWatch:
        return AlertWatch(self.database, self.settings, lambda: self.wrong)

    def look(self, watch: AlertWatch | None = None) -> None:
        (watch or self.watch()).look(utc_now())

    def open(self) -> list[str]:
        with self.database.engine("reader").connect() as connection:
            return [str(alert.cause) for alert in open_alerts(connection)]

    def titles(self) -> list[str]:
        posts = [asked for asked in self.receiver.asked if asked.path == "/chat"]
        return [json.loads(asked.body)["title"].removeprefix("[OMC sandbox] ") for asked in posts]

    def pings(self) -> int:
        return len([asked for asked in self.receiver.asked if asked.path == "/ping"])


@pytest.fixture
def platform(instance: DagsterInstance, database: Database, settings: Settings, tmp_path: Path) -> Iterator[Platform]:
    with database.engine("owner").begin() as connection:
        connection.execute(text("TRUNCATE omc.delivery, omc.message, omc.alert"))
    with database.connect("dagster") as dagster:
        dagster.execute("DELETE FROM dagster.runs; DELETE FROM dagster.job_ticks; DELETE FROM dagster.instigators")
    (tmp_path / "omc.toml").write_text('[alerts]\nchannels = ["chat"]\ncooldown_minutes = 0\nretry_s = 0.01\n')
    with upstream() as receiver:
        keys = {"alert_chat": SecretStr(f"webhook+{receiver.url}/chat"), "alert_heartbeat": SecretStr(f"{receiver.url}/ping")}
        yield Platform(database, settings.model_copy(update={"config": tmp_path / "omc.toml", "keys": keys}), receiver)


def run(platform: Platform, number: int, status: str, age_min: float, *, started: bool, job: str = "collect_glass") -> None:
    at = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=age_min)
    bound = {"id": f"{number:08d}-run", "job": job, "status": status, "at": at, "start": 1.0 if started else None}
    with platform.database.connect("dagster") as connection:
        connection.execute(RUN, bound)


def test_a_sensor_whose_ticks_fail_is_an_alert_until_they_work_again(platform: Platform, instance: DagsterInstance) -> None:
    failing, healthy = Sensor(instance, "dispatch_briefs"), Sensor(instance, "healthy")
    healthy.ticks(TickStatus.SUCCESS)
    failing.fails("date value out of range")
    platform.look()
    failing.fails("date value out of range")
    platform.look()
    failing.ticks(TickStatus.SKIPPED)
    platform.look()

    assert platform.open() == []
    assert platform.titles() == ["HIGH: dagster, tick dispatch_briefs", "RESOLVED: dagster, tick dispatch_briefs"]
    assert "date value out of range" in json.loads(platform.receiver.asked[0].body)["body"]


@pytest.mark.parametrize(
    ("status", "age_min", "started", "is_found"),
    [
        ("QUEUED", 16, False, True),
        ("QUEUED", 14, False, False),
        ("STARTING", 16, False, True),
        ("FAILURE", 1, False, True),
        ("FAILURE", 1, True, False),
        ("STARTED", 300, True, False),
        ("CANCELED", 300, False, False),
        ("QUEUED", 60 * 25, False, False),
    ],
)
def test_a_run_that_never_started_is_found(status: str, age_min: float, started: bool, is_found: bool, platform: Platform) -> None:
    run(platform, 1, status, age_min, started=started)

    assert bool(unstarted_runs(platform.database, utc_now(), 15)) is is_found


def test_a_run_that_never_started_is_an_alert_until_a_later_one_of_its_job_starts(platform: Platform) -> None:
    run(platform, 1, "FAILURE", 30, started=False)
    run(platform, 2, "SUCCESS", 20, started=True, job="collect_human")
    platform.look()
    found = platform.open()
    run(platform, 3, "STARTED", 1, started=True)
    platform.look()

    assert (found, platform.open()) == (["dagster, run collect_glass"], [])


def test_a_channel_that_takes_nothing_is_an_alert_itself_and_ends_the_heartbeat(platform: Platform) -> None:
    platform.receiver.replies = [Reply(404)]
    with platform.database.engine("writer").begin() as connection:
        settle_findings(connection, "ledger glass", [Finding(Cause("glass_fx", "source"), "high", "x", "x", "x")], utc_now())
    platform.look()
    platform.receiver.asked.clear()

    platform.look()

    assert platform.open() == ["glass_fx", "delivery, channel chat"]
    assert platform.pings() == 0


def test_a_channel_that_works_again_ends_its_alert(platform: Platform) -> None:
    platform.receiver.replies = [Reply(404), Reply(200)]
    with platform.database.engine("writer").begin() as connection:
        settle_findings(connection, "ledger glass", [Finding(Cause("glass_fx", "source"), "high", "x", "x", "x")], utc_now())
    for _ in range(3):
        platform.look()

    assert platform.open() == ["glass_fx"]


def test_a_channel_of_a_subscription_that_takes_nothing_is_an_alert_for_a_day(platform: Platform) -> None:
    platform.receiver.replies = [Reply(404), Reply(200)]
    keys = {**platform.settings.keys, "alert_mine": SecretStr(f"webhook+{platform.receiver.url}/mine")}
    platform.settings = platform.settings.model_copy(update={"keys": keys})
    with platform.database.engine("writer").begin() as connection:
        queue(connection, Message("brief 1", "brief", "t", "b", utc_now()), ["mine"], utc_now())
    for _ in range(3):
        platform.look()
    found = platform.open()
    with platform.database.engine("owner").begin() as connection:
        connection.execute(text("UPDATE omc.delivery SET settled_at = settled_at - interval '25 hours' WHERE channel = 'mine'"))
    platform.look()

    assert (found, platform.open()) == (["delivery, channel mine"], [])
    assert "HIGH: delivery, channel mine" in platform.titles()


def test_a_channel_without_its_variable_is_an_alert(platform: Platform) -> None:
    platform.settings = platform.settings.model_copy(update={"keys": {}})

    platform.look()

    assert platform.open() == ["delivery, channel chat"]


def test_the_heartbeat_comes_while_all_is_well_and_not_more_often_than_asked(platform: Platform) -> None:
    watch = platform.watch()
    for _ in range(3):
        platform.look(watch)

    assert platform.pings() == 1


def test_the_heartbeat_stays_away_while_something_is_wrong(platform: Platform) -> None:
    platform.wrong = ["dagster-daemon: no heartbeat yet"]
    platform.look()
    missing = platform.pings()
    platform.wrong = []
    platform.look()

    assert (missing, platform.pings()) == (0, 1)


def test_a_file_that_becomes_wrong_leaves_the_last_good_options(platform: Platform) -> None:
    watch = platform.watch()
    platform.look(watch)
    (platform.settings.config or Path()).write_text("[alerts]\nchannels = 3\n")
    with platform.database.engine("writer").begin() as connection:
        settle_findings(connection, "ledger glass", [Finding(Cause("glass_fx", "source"), "high", "x", "x", "x")], utc_now())

    platform.look(watch)

    assert platform.titles() == ["HIGH: glass_fx"]


@pytest.mark.slow
def test_the_thread_does_it_by_itself_and_ends(platform: Platform) -> None:
    with platform.watch() as watch:
        platform.receiver.replies = [Reply(200)]
        deadline = utc_now() + timedelta(seconds=30)
        while not platform.pings() and utc_now() < deadline:
            assert list(watch.watch()) == []

    assert platform.pings() == 1
    assert list(watch.watch()) == []
