"""Ticks that fail are told on the platform's console, once for each schedule or sensor and once when they work again."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from dagster import DagsterInstance
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._utils.error import SerializableErrorInfo

from omc_infra.errors import DatabaseUnavailableError
from omc_infra.postgres.database import Database
from omc_infra.runs.instance import open_instance
from omc_infra.services.tick_watch import _NEWEST, TickWatch
from omc_infra.settings import Settings


class Sensor:
    """A sensor as the daemon records it, of which a test writes the ticks."""

    def __init__(self, instance: DagsterInstance, name: str) -> None:
        location = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="nowhere"), location_name="nowhere")
        self._origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "here"), name)
        self._instance, self._name, self._at = instance, name, time.time()
        state = InstigatorState(self._origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, SensorInstigatorData(min_interval=30))
        instance.add_instigator_state(state)

    def ticks(self, status: TickStatus, error: SerializableErrorInfo | None = None) -> None:
        self._at += 1
        self._instance.create_tick(
            TickData(
                self._origin.get_id(),
                self._name,
                InstigatorType.SENSOR,
                status,
                self._at,
                run_ids=[],
                error=error,
                skip_reason="nothing new" if status is TickStatus.SKIPPED else None,
                selector_id=self._origin.get_selector().get_id(),
            )
        )

    def fails(self, message: str) -> None:
        cause = SerializableErrorInfo(message, [], "OverflowError")
        self.ticks(TickStatus.FAILURE, SerializableErrorInfo("Error occurred during the evaluation", [], "SensorExecutionError", cause))


@pytest.fixture(scope="module")
def instance(settings: Settings, database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterInstance]:
    own = settings.model_copy(update={"home": tmp_path_factory.mktemp("home")})
    with open_instance(own, database, None) as opened:
        yield opened


def look(watch: TickWatch) -> list[str]:
    watch._look_at = 0.0
    return list(watch.watch())


def test_a_sensor_whose_ticks_fail_is_told_once_with_its_reason_and_once_when_it_works_again(
    instance: DagsterInstance, database: Database
) -> None:
    watch, failing, healthy = TickWatch(database), Sensor(instance, "dispatch_briefs"), Sensor(instance, "healthy")
    assert look(watch) == []

    failing.fails("date value out of range")
    healthy.ticks(TickStatus.SUCCESS)
    assert look(watch) == ["ticks of dispatch_briefs fail: date value out of range"]

    failing.fails("date value out of range")
    failing.ticks(TickStatus.STARTED)
    assert look(watch) == []

    failing.ticks(TickStatus.SKIPPED)
    assert look(watch) == ["ticks of dispatch_briefs work again"]
    assert look(watch) == []


def test_ticks_that_failed_before_the_platform_started_are_history(instance: DagsterInstance, database: Database) -> None:
    Sensor(instance, "old").fails("long ago")

    assert [line for line in look(TickWatch(database, since=time.time() + 60)) if "old" in line] == []


def test_a_look_costs_little(instance: DagsterInstance, database: Database) -> None:
    busy = Sensor(instance, "busy")
    for _ in range(300):
        busy.ticks(TickStatus.SKIPPED)
    with database.connect("dagster") as connection:
        connection.execute("ANALYZE dagster.job_ticks")
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {_NEWEST}", {"since": "2026-01-01"}))  # type: ignore[arg-type]

    assert "idx_tick_selector_timestamp" in plan


class Silent:
    """A database that does not answer."""

    def connect(self, role: str) -> None:
        raise DatabaseUnavailableError(f"no answer for {role}")


def test_a_database_that_does_not_answer_is_no_reason_to_end() -> None:
    assert look(TickWatch(Silent())) == []  # type: ignore[arg-type]
