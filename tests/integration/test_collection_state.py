"""What is known of each collector: how it went, whether it is paused, when it may be asked again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from omc_infra.errors import ConfigurationError, DatabaseUnavailableError, NotConfiguredError, PayloadChangedError, RateLimitedError
from omc_infra.postgres.database import Database
from omc_pipeline.collection.attempt import attempt
from omc_pipeline.collection.state import (
    CollectorKey,
    CollectorState,
    pause,
    record_configured,
    record_failure,
    record_success,
    resume,
    states,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FEED = CollectorKey("catalyst_papers", "feed")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with database.connect("owner") as owner:
        owner.execute("TRUNCATE collection.state")
    with database.connect("writer") as opened:
        yield opened


def test_a_success_is_kept_with_its_rows_and_ends_a_row_of_failures(connection: psycopg.Connection[Any]) -> None:
    record_failure(connection, FEED, PayloadChangedError("no list"), now=NOW, pause_after=5)
    record_success(connection, FEED, rows=7, seconds=1.0, now=NOW + MINUTE)
    record_success(connection, FEED, rows=3, seconds=3.0, now=NOW + 2 * MINUTE)

    state = states(connection).of(FEED)

    assert (state.last_success_at, state.last_rows, state.rows) == (NOW + 2 * MINUTE, 3, 10)
    assert (state.last_failure_at, state.failure_class, state.failure_message) == (NOW, "PayloadChangedError", "no list")
    assert (state.consecutive_failures, state.permanent_failures, state.is_configured) == (0, 0, True)


def test_the_p95_is_that_of_the_most_recent_collections_only(connection: psycopg.Connection[Any]) -> None:
    for seconds in [1000.0] * 10 + [float(number) for number in range(1, 51)]:
        record_success(connection, FEED, rows=1, seconds=seconds, now=NOW)

    state = states(connection).of(FEED)

    assert (len(state.recent_s), state.recent_s[0], state.p95_s) == (50, 1.0, 48.0)
    assert CollectorState("x").p95_s is None


def test_a_ban_of_the_upstream_holds_for_every_process_until_its_time(database: Database, connection: psycopg.Connection[Any]) -> None:
    record_failure(connection, FEED, RateLimitedError("slow down", retry_after_s=600), now=NOW, pause_after=1)
    record_failure(connection, FEED, RateLimitedError("slow down", retry_after_s=5), now=NOW + MINUTE, pause_after=1)

    with database.connect("reader") as elsewhere:
        known = states(elsewhere)

    assert known.of(FEED).next_allowed_at == NOW + timedelta(seconds=600)
    assert (
        known.refusal(FEED, NOW + timedelta(seconds=599)) == "catalyst_papers/feed waits until 2026-03-01 12:10:00Z, as its upstream asked"
    )
    assert known.may_launch(FEED, NOW + timedelta(seconds=600))
    assert known.may_launch(CollectorKey("catalyst_papers", "submissions"), NOW)


@pytest.mark.parametrize("wait_s", [float("inf"), float("nan"), 1e300, -1.0])
def test_an_absurd_wait_of_an_upstream_is_bounded(connection: psycopg.Connection[Any], wait_s: float) -> None:
    record_failure(connection, FEED, RateLimitedError("slow down", retry_after_s=wait_s), now=NOW, pause_after=1)

    assert states(connection).may_launch(FEED, NOW + timedelta(days=367))


def test_permanent_failures_pause_a_collector_after_so_many_and_a_success_on_demand_resumes_it(
    connection: psycopg.Connection[Any],
) -> None:
    paused = [record_failure(connection, FEED, PayloadChangedError("no list"), now=NOW, pause_after=3) for _ in range(4)]
    refusal = states(connection).refusal(FEED, NOW)
    record_success(connection, FEED, rows=1, seconds=1, now=NOW)

    assert [state is not None for state in paused] == [False, False, True, False], "it is said once"
    assert refusal is not None
    assert "paused by omc (3 permanent failures in a row, the last: PayloadChangedError); `omc sources resume" in refusal
    assert states(connection).may_launch(FEED, NOW)


def test_neither_transient_failures_nor_mistakes_in_the_configuration_pause_a_collector(connection: psycopg.Connection[Any]) -> None:
    for error in [RateLimitedError("slow"), ConfigurationError("omc.toml:1: x: no such section")] * 5:
        assert record_failure(connection, FEED, error, now=NOW, pause_after=1) is None

    state = states(connection).of(FEED)
    assert (state.consecutive_failures, state.permanent_failures, state.paused_at) == (10, 0, None)


def test_pausing_can_be_switched_off(connection: psycopg.Connection[Any]) -> None:
    for _ in range(20):
        record_failure(connection, FEED, PayloadChangedError("no list"), now=NOW, pause_after=0)

    assert states(connection).may_launch(FEED, NOW)


def test_a_missing_key_is_no_failure_but_not_configured(connection: psycopg.Connection[Any]) -> None:
    record_failure(connection, FEED, NotConfiguredError("set OMC_KEY_PAPERS"), now=NOW, pause_after=1)

    state = states(connection).of(FEED)

    assert (state.is_configured, state.not_configured_reason) == (False, "set OMC_KEY_PAPERS")
    assert (state.last_failure_at, state.consecutive_failures, state.paused_at) == (None, 0, None)


def test_a_pause_of_a_source_or_an_account_holds_all_that_belongs_to_it(connection: psycopg.Connection[Any]) -> None:
    fills = CollectorKey("exchange_venue", "fills", "ada-1")
    others = [CollectorKey("exchange_venue", "fills", "bob-1"), CollectorKey("exchange_other", "fills", "ada-1")]
    pause(connection, CollectorKey("exchange_venue", account_id="ada-1"), by="ada", now=NOW, reason="moving house")

    known = states(connection)

    assert (
        known.refusal(fills, NOW) == "exchange_venue of account ada-1 is paused by ada (moving house); `omc sources resume exchange_venue`"
    )
    assert all(known.may_launch(other, NOW) for other in others)
    pause(connection, CollectorKey("exchange_venue"), by="root", now=NOW)
    assert not states(connection).may_launch(others[0], NOW)


def test_a_pause_until_a_time_ends_by_itself(connection: psycopg.Connection[Any]) -> None:
    pause(connection, FEED, by="ada", now=NOW, until=NOW + MINUTE)

    known = states(connection)

    assert not known.may_launch(FEED, NOW + MINUTE / 2)
    assert known.may_launch(FEED, NOW + MINUTE)


def test_a_pause_by_a_person_survives_a_success_on_demand(connection: psycopg.Connection[Any]) -> None:
    pause(connection, FEED, by="ada", now=NOW)
    record_success(connection, FEED, rows=1, seconds=1, now=NOW)

    assert not states(connection).may_launch(FEED, NOW)


def test_resuming_ends_the_pauses_below_and_forgets_failures_but_not_a_ban(connection: psycopg.Connection[Any]) -> None:
    record_failure(connection, FEED, PayloadChangedError("no list"), now=NOW, pause_after=1)
    record_failure(connection, FEED, RateLimitedError("slow", retry_after_s=600), now=NOW, pause_after=1)
    pause(connection, CollectorKey("glass_maps"), by="ada", now=NOW)

    resumed = resume(connection, CollectorKey("catalyst_papers"))
    again = resume(connection, CollectorKey("catalyst_papers"))

    known = states(connection)
    assert (resumed, again) == ([FEED], [])
    assert known.of(FEED).consecutive_failures == 0
    assert "waits until" in str(known.refusal(FEED, NOW))
    assert not known.may_launch(CollectorKey("glass_maps"), NOW)


def test_a_collector_is_due_when_its_cadence_has_passed_since_the_last_attempt(connection: psycopg.Connection[Any]) -> None:
    assert states(connection).is_due(FEED, 600, NOW)
    record_success(connection, FEED, rows=1, seconds=1, now=NOW)

    known = states(connection)

    assert not known.is_due(FEED, 600, NOW + timedelta(seconds=500))
    assert known.is_due(FEED, 600, NOW + timedelta(seconds=560)), "a tick that comes a little early counts"


def test_what_is_configured_is_written_only_where_it_changes(connection: psycopg.Connection[Any]) -> None:
    record_configured(connection, {FEED: None, CollectorKey("glass_maps"): "set OMC_KEY_MAPS"})
    before = connection.execute("SELECT source, xmin::text FROM collection.state ORDER BY 1").fetchall()
    record_configured(connection, {FEED: None, CollectorKey("glass_maps"): None})

    after = connection.execute("SELECT source, xmin::text FROM collection.state ORDER BY 1").fetchall()

    assert before[0] == after[0]
    assert before[1] != after[1]
    assert states(connection).of(CollectorKey("glass_maps")).not_configured_reason is None


def test_messages_are_redacted_and_bounded(connection: psycopg.Connection[Any]) -> None:
    error = PayloadChangedError(f"https://someone:hunter2@x.example/a?api_key=hunter2 {'x' * 5000}")
    record_failure(connection, FEED, error, now=NOW, pause_after=0)

    message = states(connection).of(FEED).failure_message or ""

    assert "hunter2" not in message
    assert len(message) == 1000


def test_an_attempt_that_leads_to_a_pause_says_so_in_its_failure(database: Database, connection: psycopg.Connection[Any]) -> None:
    with pytest.raises(PayloadChangedError, match=r"^no list; catalyst_papers/feed is paused by omc") as caught, attempt(database, FEED, 1):
        raise PayloadChangedError("no list")

    assert isinstance(caught.value.__cause__, PayloadChangedError)


def test_an_attempt_without_a_database_fails_for_its_own_reason(database: Database) -> None:
    import dataclasses

    gone = dataclasses.replace(database, logins={role: dataclasses.replace(login, port=1) for role, login in database.logins.items()})

    with pytest.raises(PayloadChangedError, match=r"^no list$"), attempt(gone, FEED, 1):
        raise PayloadChangedError("no list")
    with pytest.raises(DatabaseUnavailableError), attempt(gone, FEED, 1):
        pass


def test_the_roles_have_what_they_need_and_no_more(database: Database, connection: psycopg.Connection[Any]) -> None:
    record_success(connection, FEED, rows=1, seconds=1, now=NOW)

    with database.connect("reader") as reader:
        assert states(reader).of(FEED).rows == 1
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            pause(reader, FEED, by="ada", now=NOW)
    with database.connect("agent") as agent, pytest.raises(psycopg.errors.InsufficientPrivilege):
        states(agent)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM collection.state")


def test_two_processes_that_fail_at_once_are_both_counted(database: Database, connection: psycopg.Connection[Any]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def fail(_: int) -> bool:
        with database.connect("writer") as own:
            return record_failure(own, FEED, PayloadChangedError("no list"), now=NOW, pause_after=16) is not None

    with ThreadPoolExecutor(4) as pool:
        details = list(pool.map(fail, range(16)))

    assert (states(connection).of(FEED).permanent_failures, sum(details)) == (16, 1)


def test_reading_the_states_of_hundreds_of_collectors_is_one_quick_query(connection: psycopg.Connection[Any]) -> None:
    for number in range(300):
        record_success(connection, CollectorKey(f"glass_{number:03}"), rows=1, seconds=1, now=NOW)

    took = []
    for _ in range(20):
        began = time.perf_counter()
        found = states(connection, "glass_001")
        took.append(time.perf_counter() - began)

    assert len(list(found)) == 1
    assert sorted(took)[10] < 0.005


def test_reading_the_state_needs_no_dagster() -> None:
    code = "import sys, omc_pipeline.collection.attempt; print([m for m in ('dagster', 'sqlalchemy', 'pandas') if m in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
