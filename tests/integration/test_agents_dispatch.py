"""Dispatch exactly once: commits out of order, a daemon that dies between claim and launch, runs that fail, vanish or overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from uuid import UUID

import dagster as dg
import pytest
from agent_sessions import opened
from sqlalchemy import text

from omc_agents.definitions import build_definitions
from omc_agents.models.protocol import Request, Response
from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.orchestration.jobs import BATCH_TAG
from omc_agents.orchestration.resources import AgentPlatform
from omc_agents.orchestration.sensors import MOST_RUNS, catalyst_outbox
from omc_agents.sessions.briefs import briefs_since, show_session
from omc_agents.sessions.dispatch import BATCH_SIZE, dispatch_fresh, open_batches, unfinished_events
from omc_agents.sessions.locks import batch_lock
from omc_agents.sessions.store import MOST_FAILURES
from omc_infra.errors import RateLimitedError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.ledgers.write import append

EDGAR = "catalyst_sec_edgar"
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def filing(event_id: str, *, hours_ago: float = 0.1, symbol: str = "BTC") -> CatalystEvent:
    published = datetime.now(UTC) - timedelta(hours=hours_ago)
    return CatalystEvent(
        event_id, "filing", symbol, "MSTR", "Strategy Inc", "8-K", "8-K", None, "https://example.invalid/f", None, published
    )


@pytest.fixture
def announce(database: Database) -> Callable[..., None]:
    def keep(*events: CatalystEvent) -> None:
        with database.connect("writer") as connection:
            append(connection, EDGAR, events, None)
            connection.commit()

    return keep


@pytest.fixture(autouse=True)
def nothing_pending(database: Database) -> None:
    """Start each test from an empty outbox."""
    with database.engine("owner").begin() as connection:
        connection.execute(text("TRUNCATE agents.session, agents.dispatch, catalyst.outbox, catalyst.event CASCADE"))


class Broken(ScriptedAnalyst):
    def complete(self, request: Request) -> Response:
        raise TimeoutError("no answer")


class Busy(ScriptedAnalyst):
    """Asks for a wait when it is asked of ETH, and counts how often that was."""

    asked: ClassVar[list[str]] = []
    wait_s: ClassVar[float] = 3600.0

    def complete(self, request: Request) -> Response:
        if "0000000099" in str(request.turns):
            self.asked.append("0000000099")
            raise RateLimitedError("model: 429", retry_after_s=self.wait_s)
        return super().complete(request)


@pytest.fixture
def agent_platform(database: Database, settings: Settings) -> AgentPlatform:
    @contextmanager
    def lend(_: Settings) -> Iterator[Database]:
        yield database

    return AgentPlatform(lambda: settings, lend, ScriptedAnalyst)


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


def tick(instance: dg.DagsterInstance, agent_platform: AgentPlatform) -> list[dg.RunRequest]:
    with dg.build_sensor_context(instance=instance, resources={"agent_platform": agent_platform}) as context:
        answer = catalyst_outbox(context)
    return list(answer.run_requests or []) if isinstance(answer, dg.SensorResult) else []


def create_run(instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    job = build_definitions().get_job_def("brief_catalysts")
    return instance.create_run_for_job(
        job, run_config=request.run_config, tags={**request.tags, "dagster/run_key": str(request.run_key)}, status=status
    )


def run(instance: dg.DagsterInstance, agent_platform: AgentPlatform, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    job = build_definitions(agent_platform).get_job_def("brief_catalysts")
    return job.execute_in_process(run_config=request.run_config, tags=dict(request.tags), instance=instance, raise_on_error=False)


def test_an_event_that_commits_after_a_later_one_is_dispatched_too(database: Database, announce: Callable[..., None]) -> None:
    slow = database.connect("writer")
    slow.execute(
        "INSERT INTO catalyst.event (source, event_id, event_type, issuer, title, url, published_at, version, row_sha256)"
        " VALUES (%s, 'early', 'filing', 'i', 't', 'u', now(), 1, 'x')",
        (EDGAR,),
    )
    slow_connection_is_ahead = database.connect("writer")
    slow_connection_is_ahead.execute(
        "INSERT INTO catalyst.event (source, event_id, event_type, issuer, title, url, published_at, version, row_sha256)"
        " VALUES (%s, 'late', 'filing', 'i', 't', 'u', now(), 1, 'x')",
        (EDGAR,),
    )
    slow_connection_is_ahead.commit()

    first = dispatch_fresh(database, 24)
    slow.commit()
    second = dispatch_fresh(database, 24)
    third = dispatch_fresh(database, 24)
    slow.close()
    slow_connection_is_ahead.close()

    assert [list(unfinished_events(database, batch)) for batch in (*first, *second)] == [[(EDGAR, "late")], [(EDGAR, "early")]]
    assert third == []


def test_history_gets_no_brief(database: Database, announce: Callable[..., None]) -> None:
    announce(filing("0000000000-26-000001", hours_ago=25), filing("0000000000-26-000002", hours_ago=23))

    (batch,) = dispatch_fresh(database, 24)

    assert unfinished_events(database, batch) == [(EDGAR, "0000000000-26-000002")]


def test_many_events_become_batches_of_limited_size(database: Database, announce: Callable[..., None]) -> None:
    announce(*(filing(f"0000000001-26-{n:06}") for n in range(2 * BATCH_SIZE + 1)))

    batches = dispatch_fresh(database, 24)

    assert [len(unfinished_events(database, batch)) for batch in batches] == [BATCH_SIZE, BATCH_SIZE, 1]


def test_a_second_tick_without_a_new_event_asks_for_no_new_run(
    instance: dg.DagsterInstance, agent_platform: AgentPlatform, announce: Callable[..., None]
) -> None:
    announce(filing("0000000002-26-000001"))

    first, second = tick(instance, agent_platform), tick(instance, agent_platform)

    assert [request.run_key for request in first] == [request.run_key for request in second]
    assert first[0].tags == {BATCH_TAG: str(first[0].run_config["ops"]["brief_batch_events"]["config"]["batch_id"]), "ledger": "catalyst"}


def test_a_quiet_tick_says_why_it_asks_for_nothing(instance: dg.DagsterInstance, agent_platform: AgentPlatform) -> None:
    with dg.build_sensor_context(instance=instance, resources={"agent_platform": agent_platform}) as context:
        answer = catalyst_outbox(context)

    assert isinstance(answer, dg.SkipReason)


def test_a_claim_whose_launch_was_lost_is_asked_for_again(
    database: Database, instance: dg.DagsterInstance, agent_platform: AgentPlatform, announce: Callable[..., None]
) -> None:
    announce(filing("0000000003-26-000001"))
    (batch,) = dispatch_fresh(database, 24)  # and here the daemon dies

    (request,) = tick(instance, agent_platform)

    assert request.run_key == f"{batch}#0"


def test_a_run_that_was_created_and_never_launched_is_asked_for_under_its_own_key(
    instance: dg.DagsterInstance, agent_platform: AgentPlatform, announce: Callable[..., None]
) -> None:
    announce(filing("0000000004-26-000001"))
    (request,) = tick(instance, agent_platform)
    create_run(instance, request, dg.DagsterRunStatus.NOT_STARTED)

    (again,) = tick(instance, agent_platform)

    assert again.run_key == request.run_key


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
def test_a_batch_in_work_is_left_alone(
    status: dg.DagsterRunStatus, instance: dg.DagsterInstance, agent_platform: AgentPlatform, announce: Callable[..., None]
) -> None:
    announce(filing("0000000005-26-000001"))
    (request,) = tick(instance, agent_platform)
    create_run(instance, request, status)

    assert tick(instance, agent_platform) == []


@pytest.mark.slow
def test_a_run_briefs_its_batch_and_closes_it(
    database: Database, instance: dg.DagsterInstance, agent_platform: AgentPlatform, announce: Callable[..., None]
) -> None:
    announce(filing("0000000006-26-000001"), filing("0000000006-26-000002"))
    (request,) = tick(instance, agent_platform)

    result = run(instance, agent_platform, request)

    assert result.success
    assert sorted(brief.event for brief in briefs_since(database, EPOCH)) == ["0000000006-26-000001", "0000000006-26-000002"]
    assert tick(instance, agent_platform) == []


@pytest.mark.slow
def test_a_failed_run_is_followed_by_one_other_that_finishes(
    database: Database, settings: Settings, instance: dg.DagsterInstance, agent_platform: AgentPlatform, announce: Callable[..., None]
) -> None:
    announce(filing("0000000007-26-000001"))
    (request,) = tick(instance, agent_platform)
    failed = run(instance, AgentPlatform(lambda: settings, agent_platform.open_database, Broken), request)

    (again,) = tick(instance, agent_platform)
    result = run(instance, agent_platform, again)

    assert not failed.success
    assert again.run_key == str(request.run_key).replace("#0", "#1")
    assert result.success
    assert len(briefs_since(database, EPOCH)) == 1
    assert tick(instance, agent_platform) == []


@pytest.mark.slow
def test_an_event_that_always_fails_is_given_up_and_holds_up_no_other(
    database: Database, settings: Settings, instance: dg.DagsterInstance, agent_platform: AgentPlatform, announce: Callable[..., None]
) -> None:
    class Allergic(ScriptedAnalyst):
        def complete(self, request: Request) -> Response:
            if "000000000X" in str(request.turns):
                raise TimeoutError("no answer")
            return super().complete(request)

    announce(filing("000000000X-26-000001", symbol="ETH"), filing("0000000008-26-000002"))
    allergic = AgentPlatform(lambda: settings, agent_platform.open_database, Allergic)

    runs = 0
    while requests := tick(instance, allergic):
        run(instance, allergic, requests[0])
        runs += 1

    assert runs == 3
    assert [brief.event for brief in briefs_since(database, EPOCH)] == ["0000000008-26-000002"]
    assert show_session(database, "000000000X-26-000001")["session"]["detail"] == "TimeoutError; the log of the run says more"


@pytest.mark.slow
def test_a_session_whose_model_asks_for_a_wait_is_not_tried_before_it_and_holds_up_no_other(
    database: Database, settings: Settings, instance: dg.DagsterInstance, agent_platform: AgentPlatform, announce: Callable[..., None]
) -> None:
    announce(filing("0000000099-26-000001", symbol="ETH"), filing("0000000098-26-000002"))
    busy, Busy.asked[:] = AgentPlatform(lambda: settings, agent_platform.open_database, Busy), []
    (request,) = tick(instance, busy)
    run(instance, busy, request)

    during_the_wait = tick(instance, busy)
    run(instance, busy, request)  # a run that was asked for all the same
    announce(filing("0000000097-26-000003"))
    (other,) = tick(instance, busy)

    assert during_the_wait == []
    assert Busy.asked == ["0000000099"]
    assert str(other.run_key).endswith("#0")
    assert [brief.event for brief in briefs_since(database, EPOCH)] == ["0000000098-26-000002"]
    assert show_session(database, "0000000099-26-000001")["session"]["detail"] == "RateLimitedError: model: 429"


@pytest.mark.slow
def test_a_session_is_tried_again_when_the_wait_of_its_model_is_over_and_waits_are_no_failures(
    database: Database, settings: Settings, instance: dg.DagsterInstance, agent_platform: AgentPlatform, announce: Callable[..., None]
) -> None:
    announce(filing("0000000099-26-000004", symbol="ETH"))
    busy = AgentPlatform(lambda: settings, agent_platform.open_database, Busy)
    for _ in range(MOST_FAILURES + 1):
        (request,) = tick(instance, busy)
        run(instance, busy, request)
        with database.engine("owner").begin() as connection:  # the wait goes by
            connection.execute(text("UPDATE agents.session SET retry_at = retry_at - interval '1 hour'"))

    (request,) = tick(instance, agent_platform)
    result = run(instance, agent_platform, request)

    assert result.success
    assert [brief.event for brief in briefs_since(database, EPOCH)] == ["0000000099-26-000004"]


@pytest.mark.parametrize("wait_s", [float("inf"), float("nan"), 1e300, -5.0])
def test_an_absurd_wait_of_a_model_is_bounded(database: Database, announce: Callable[..., None], wait_s: float) -> None:
    announce(filing("0000000099-26-000005"))
    store, session = opened(database, "0000000099-26-000005")

    store.defer(session.session_id, "429", wait_s)

    until = store.session(session.session_id).retry_at
    assert until is not None
    assert until <= datetime.now(UTC) + timedelta(days=8)


def test_a_batch_whose_runs_never_get_anywhere_is_given_up(
    database: Database, instance: dg.DagsterInstance, agent_platform: AgentPlatform, announce: Callable[..., None]
) -> None:
    announce(filing("0000000009-26-000001"))
    for _ in range(MOST_RUNS):
        (request,) = tick(instance, agent_platform)
        create_run(instance, request, dg.DagsterRunStatus.FAILURE)

    assert tick(instance, agent_platform) == []
    assert show_session(database, "0000000009-26-000001")["session"]["status"] == "failed"
    assert open_batches(database) == []


def test_a_run_whose_process_vanished_is_ended_and_followed_by_another(
    database: Database, instance: dg.DagsterInstance, agent_platform: AgentPlatform, announce: Callable[..., None]
) -> None:
    announce(filing("0000000010-26-000001"))
    (request,) = tick(instance, agent_platform)
    started = create_run(instance, request, dg.DagsterRunStatus.STARTED)
    backdate(instance, started, seconds=60)

    with batch_lock(database, UUID(request.tags[BATCH_TAG])):
        while_it_lives = tick(instance, agent_platform)
    (again,) = tick(instance, agent_platform)

    assert while_it_lives == []
    assert again.run_key == str(request.run_key).replace("#0", "#1")
    assert instance.get_run_by_id(started.run_id).status is dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]


def backdate(instance: dg.DagsterInstance, run: dg.DagsterRun, *, seconds: int) -> None:
    """Make a run look as if it had had its status for long."""
    import sqlite3
    from pathlib import Path

    (runs,) = Path(instance.storage_directory()).parent.rglob("runs.db")
    with sqlite3.connect(runs) as connection:
        then = datetime.now(UTC) - timedelta(seconds=seconds)
        connection.execute("UPDATE runs SET update_timestamp = ? WHERE run_id = ?", (then.strftime("%Y-%m-%d %H:%M:%S.%f"), run.run_id))


def test_the_code_location_has_its_job_its_sensor_and_its_owner(agent_platform: AgentPlatform) -> None:
    definitions = build_definitions(agent_platform)

    sensor = definitions.get_sensor_def("catalyst_outbox")
    assert sensor.minimum_interval_seconds == 1
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert definitions.get_job_def("brief_catalysts").description
