"""Finished sessions let go of checkpoints and texts; what is not finished, and what was published, stays."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from agent_sessions import brief, opened, session_of
from psycopg import errors

from omc_agents.definitions import build_definitions
from omc_agents.models.scripted import ScriptedAnalyst
from omc_agents.orchestration.resources import AgentPlatform
from omc_agents.sessions.briefs import show_session
from omc_agents.sessions.retention import SESSIONS_A_BATCH, purge_sessions
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.ledgers.write import append

EDGAR = "catalyst_sec_edgar"
NOW = datetime.now(UTC)
BEFORE = NOW - timedelta(days=90)
CHECKPOINTS = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


def accession(name: str) -> str:
    """Return an id as a filing has it, the same for the same name; a brief cites no other."""
    return f"{zlib.crc32(name.encode()):010d}-26-000001"


def announce(database: Database, *event_ids: str) -> None:
    events = [
        CatalystEvent(
            each, "filing", "BTC", "MSTR", "Strategy Inc", "8-K Other Events (8.01)", "8-K", "8.01", "https://e.invalid/f", None, NOW
        )
        for each in event_ids
    ]
    with database.connect("writer") as connection:
        append(connection, EDGAR, events, None)
        connection.commit()


def finished(database: Database, settings: Settings, event_id: str, days_ago: int) -> str:
    """Brief an event, as it were some days ago, and answer its session's id."""
    announce(database, event_id)
    outcome = brief(database, settings, ScriptedAnalyst(), event_id)
    assert outcome.outcome == "published", outcome.detail
    _backdate(database, event_id, days_ago)
    return str(outcome.session_id)


def _backdate(database: Database, event_id: str, days_ago: int) -> None:
    with database.connect("owner") as owner:
        owner.execute(
            "UPDATE agents.session SET finished_at = finished_at - %(ago)s, created_at = created_at - %(ago)s WHERE event_id = %(event)s",
            {"ago": timedelta(days=days_ago), "event": event_id},
        )


def left(database: Database, session_id: str) -> dict[str, int]:
    """Count what a session still has."""
    with database.connect("reader") as connection:
        counts = {
            table: connection.execute(f"SELECT count(*) FROM agents.{table} WHERE split_part(thread_id, ':', 2) = %s", [session_id])
            for table in CHECKPOINTS
        }
        counts["texts"] = connection.execute(
            "SELECT count(*) FROM agents.model_call WHERE session_id = %s AND request IS NOT NULL AND response IS NOT NULL", [session_id]
        )
        return {name: int((found.fetchone() or [0])[0]) for name, found in counts.items()}


def purge(database: Database) -> int:
    return purge_sessions(database, BEFORE, float("inf")).count


def test_an_old_finished_session_lets_go_of_checkpoints_and_texts(database: Database, settings: Settings) -> None:
    session = finished(database, settings, accession("old-1"), 91)
    assert all(left(database, session).values())

    assert purge(database) == 1

    assert set(left(database, session).values()) == {0}
    assert purge(database) == 0


def test_its_brief_claims_evidence_and_the_cost_of_its_calls_stay(database: Database, settings: Settings) -> None:
    session = finished(database, settings, accession("old-2"), 91)
    before = show_session(database, session)

    purge(database)

    assert show_session(database, session) == before
    assert before["claims"]
    assert before["rows"]
    assert all(call["usage"] for call in before["calls"])


def test_a_session_finished_lately_keeps_all(database: Database, settings: Settings) -> None:
    session = finished(database, settings, accession("young"), 89)
    before = left(database, session)

    purge(database)

    assert left(database, session) == before


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_session_that_is_not_finished_keeps_all_however_old(database: Database, settings: Settings, status: str) -> None:
    session = finished(database, settings, accession(f"unfinished-{status}"), 400)
    with database.connect("owner") as owner:
        owner.execute("UPDATE agents.session SET status = %s WHERE session_id = %s", [status, session])
    before = left(database, session)

    purge(database)

    assert left(database, session) == before
    assert all(before.values())


def test_sessions_of_every_user_are_purged_under_their_own_name(database: Database) -> None:
    announce(database, accession("of-ada"), accession("of-grace"))
    for user in ("ada", "grace"):
        store, session = opened(database, accession(f"of-{user}"), user=user)
        _put_checkpoint(database, session.thread_id)
        store.finish(session.session_id, "failed", "no")
        _backdate(database, accession(f"of-{user}"), 91)

    assert purge(database) == 2

    for user in ("ada", "grace"):
        assert left(database, session_of(database, accession(f"of-{user}")))["checkpoints"] == 0


def test_texts_of_finished_sessions_only_can_be_emptied_and_nothing_is_written_in_their_place(
    database: Database, settings: Settings
) -> None:
    over, unfinished = finished(database, settings, accession("emptied"), 1), finished(database, settings, accession("kept"), 1)
    with database.connect("owner") as owner:
        owner.execute("UPDATE agents.session SET status = 'running' WHERE session_id = %s", [unfinished])

    with pytest.raises(errors.InsufficientPrivilege):
        _as_writer(database, "UPDATE agents.model_call SET request = NULL, response = '{}' WHERE session_id = %s", over)
    with pytest.raises(errors.InsufficientPrivilege):
        _as_writer(database, "DELETE FROM agents.model_call WHERE session_id = %s", over)
    emptied = [
        _as_writer(database, "UPDATE agents.model_call SET request = NULL, response = NULL WHERE session_id = %s", s)
        for s in (over, unfinished)
    ]

    assert emptied[0] > 0
    assert emptied[1] == 0


@pytest.mark.parametrize(("keep_days", "texts_left"), [(0, True), (90, False)])
def test_the_daily_job_keeps_to_the_setting_and_keeps_all_for_no_days(
    database: Database, changed: Callable[..., Settings], keep_days: int, texts_left: bool
) -> None:
    settings = changed(keep_sessions_days=keep_days)
    session = finished(database, settings, accession(f"by-job-{keep_days}"), 91)
    agent_platform = AgentPlatform(lambda: settings, lambda _: nullcontext(database), ScriptedAnalyst)

    result = build_definitions(agent_platform).resolve_job_def("maintain_sessions").execute_in_process()

    assert result.success
    assert bool(left(database, session)["texts"]) is texts_left


def test_two_purges_at_once_count_each_session_once(database: Database) -> None:
    count = 2 * SESSIONS_A_BATCH + 20
    announce(database, *(f"many-{n}" for n in range(count)))
    with database.connect("owner") as owner:
        owner.execute(
            "INSERT INTO agents.session (session_id, user_id, source, event_id, status, model, event_recorded_at, as_of, finished_at)"
            " SELECT 'many-' || n, 'u' || n %% 3, %s, 'many-' || n, 'refused', 'm', now(), now(), %s FROM generate_series(0, %s) AS n",
            [EDGAR, BEFORE - timedelta(days=1), count - 1],
        )
        owner.execute(
            "INSERT INTO agents.checkpoints (thread_id, checkpoint_id, checkpoint)"
            " SELECT user_id || ':' || session_id, '1', '{}' FROM agents.session WHERE session_id LIKE 'many-%%'"
        )
    counts: list[int] = []

    threads = [threading.Thread(target=lambda: counts.append(purge(database))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts) == count


def _put_checkpoint(database: Database, thread_id: str) -> None:
    with database.connect("owner") as owner:
        owner.execute("INSERT INTO agents.checkpoints (thread_id, checkpoint_id, checkpoint) VALUES (%s, '1', '{}')", [thread_id])


def _as_writer(database: Database, statement: str, session_id: str) -> int:
    with database.connect("writer") as connection:
        return connection.execute(statement, [session_id]).rowcount
