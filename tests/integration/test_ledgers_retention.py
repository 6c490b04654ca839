"""Old bodies go, and only they: one test a rule of what must stay, on a real database."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors

from omc_infra.payload import Payload, request_identity
from omc_infra.postgres.database import Database
from omc_pipeline.ledgers.quarantine import quarantine, resolve
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.ledgers.retention import BODIES_A_BATCH, purge_bodies

BEFORE = datetime(2026, 6, 1, tzinfo=UTC)
OLD, OLDER, YOUNG = BEFORE - timedelta(days=10), BEFORE - timedelta(days=20), BEFORE + timedelta(days=1)
EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with database.connect("writer") as connection:
        connection.autocommit = True
        yield connection


def fetch(
    connection: psycopg.Connection[Any], source: str, body: bytes, at: datetime, *, url: str = "https://x/y", status: int = 200
) -> str:
    payload = Payload(source, body, at, url, status, "application/json")
    store = PostgresRawStore(connection)
    store.store(payload, etag=f'"{payload.sha256[:8]}"', last_modified=None)
    store.mark_parsed(payload)
    return payload.sha256


def is_held(connection: psycopg.Connection[Any], sha256: str) -> bool:
    row = connection.execute("SELECT body IS NOT NULL FROM raw.payload WHERE sha256 = %s", [sha256]).fetchone()
    assert row is not None, "the row of a body always stays"
    return bool(row[0])


def purge(database: Database, deadline: float = float("inf")) -> int:
    return purge_bodies(database, BEFORE, deadline).count


def fill(database: Database, source: str, count: int) -> None:
    """Store that many old bodies of one URL, oldest first, each its own."""
    with database.connect("owner") as owner:
        owner.execute(
            "INSERT INTO raw.payload SELECT encode(sha256((%(s)s || n)::bytea), 'hex'), 'z', 1, 'x',"
            " %(at)s::timestamptz + n * interval '1 s'"
            " FROM generate_series(1, %(n)s) AS n",
            {"s": source, "n": count, "at": OLDER - timedelta(days=100)},
        )
        owner.execute(
            "INSERT INTO raw.fetch (source, url, request_sha256, status, payload_sha256, fetched_at)"
            " SELECT %(s)s, 'https://x/y', 'same', 200,"
            " encode(sha256((%(s)s || n)::bytea), 'hex'), %(at)s::timestamptz + n * interval '1 s' FROM generate_series(1, %(n)s) AS n",
            {"s": source, "n": count, "at": OLDER - timedelta(days=100)},
        )


def test_an_old_body_goes_and_its_fetch_and_digest_stay(database: Database, connection: psycopg.Connection[Any]) -> None:
    gone, newest = fetch(connection, "plain", b"old" * 100, OLD), fetch(connection, "plain", b"new", YOUNG)

    assert purge(database) == 1

    assert (is_held(connection, gone), is_held(connection, newest)) == (False, True)
    row = connection.execute(
        "SELECT count(*), min(size_bytes) FROM raw.fetch JOIN raw.payload ON sha256 = payload_sha256 WHERE source = 'plain'"
    )
    assert row.fetchone() == (2, 3)
    with pytest.raises(LookupError):
        PostgresRawStore(connection).body(gone)
    assert [payload.body for payload in PostgresRawStore(connection).stored("plain", *EVER)] == [b"new"]


def test_a_body_seen_long_ago_and_fetched_again_lately_stays(database: Database, connection: psycopg.Connection[Any]) -> None:
    again = fetch(connection, "again", b"same", OLD)
    fetch(connection, "again", b"same", YOUNG)
    fetch(connection, "again", b"other", YOUNG + timedelta(days=1))

    purge(database)

    assert is_held(connection, again)


def test_the_latest_body_of_each_source_and_url_stays_however_old(database: Database, connection: psycopg.Connection[Any]) -> None:
    past, latest = fetch(connection, "latest", b"1", OLDER, url="https://x/a"), fetch(connection, "latest", b"2", OLD, url="https://x/a")
    other_url, other_source = fetch(connection, "latest", b"3", OLDER, url="https://x/b"), fetch(connection, "latest2", b"4", OLDER)

    purge(database)

    assert [is_held(connection, sha256) for sha256 in (past, latest, other_url, other_source)] == [False, True, True, True]


def test_the_latest_good_body_stays_behind_later_failures_for_the_next_conditional_request(
    database: Database, connection: psycopg.Connection[Any]
) -> None:
    good = fetch(connection, "failing", b"good", OLDER)
    failed = [fetch(connection, "failing", f"no {n}".encode(), OLD + timedelta(hours=n), status=500) for n in range(2)]

    purge(database)

    assert [is_held(connection, sha256) for sha256 in (good, *failed)] == [True, False, True]
    known = PostgresRawStore(connection).validators("failing", request_identity("GET", "https://x/y"))
    assert known is not None
    assert PostgresRawStore(connection).body(known.payload_sha256) == b"good"


def test_the_latest_body_of_each_request_to_one_url_stays(database: Database, connection: psycopg.Connection[Any]) -> None:
    store, bodies = PostgresRawStore(connection), {}
    for hour, query in enumerate((b"blocks", b"votes", b"blocks")):
        identity = request_identity("POST", "https://x/graphql", query)
        payload = Payload("two", f"{hour}".encode() * 9, OLDER + timedelta(hours=hour), "https://x/graphql", request_sha256=identity)
        store.store(payload, etag=None, last_modified=None)
        bodies[hour] = payload.sha256

    purge(database)

    assert [is_held(connection, sha256) for sha256 in bodies.values()] == [False, True, True]


def test_the_latest_parsed_body_stays_behind_one_that_could_not_be_parsed(database: Database, connection: psycopg.Connection[Any]) -> None:
    store = PostgresRawStore(connection)
    parsed = fetch(connection, "cut", b"whole", OLDER)
    for hour in (1, 2):
        cut = Payload("cut", f"cut {hour}".encode(), OLDER + timedelta(hours=hour), "https://x/y")
        store.store(cut, etag=None, last_modified=None)

    purge(database)

    latest = hashlib.sha256(b"cut 2").hexdigest()
    assert [is_held(connection, sha256) for sha256 in (parsed, hashlib.sha256(b"cut 1").hexdigest(), latest)] == [True, False, True]


def test_a_body_that_an_open_quarantine_row_came_from_stays_until_it_is_resolved(
    database: Database, connection: psycopg.Connection[Any]
) -> None:
    refused, latest = fetch(connection, "refused", b"with a bad row", OLDER), fetch(connection, "refused", b"fine", OLD)
    with connection.transaction():
        quarantine(connection, "refused", [("bid above ask", {"coin": "btc"})], refused)

    purge(database)
    held_while_open = is_held(connection, refused)
    with connection.transaction():
        resolve(connection, "refused", {refused}, [])
    purge(database)

    assert (held_while_open, is_held(connection, refused), is_held(connection, latest)) == (True, False, True)


def test_a_body_that_was_let_go_is_stored_again_when_it_is_fetched_again(database: Database, connection: psycopg.Connection[Any]) -> None:
    body = b"comes back"
    sha256 = fetch(connection, "back", body, OLDER)
    fetch(connection, "back", b"between", OLD)
    purge(database)

    fetch(connection, "back", body, YOUNG)

    assert PostgresRawStore(connection).body(sha256) == body


def test_a_body_being_stored_at_this_moment_is_passed_over(database: Database, connection: psycopg.Connection[Any]) -> None:
    sha256 = fetch(connection, "racing", b"racing", OLDER)
    fetch(connection, "racing", b"later", OLD)

    with connection.transaction():
        fetch(connection, "racing", b"racing", YOUNG)
        purge(database)

    purge(database)
    assert is_held(connection, sha256)


def test_no_ledger_row_and_no_fetch_can_be_deleted_by_the_writer(connection: psycopg.Connection[Any]) -> None:
    for table in ("raw.payload", "raw.fetch", "raw.quarantine", "exchange.quote", "exchange.fill", "catalyst.event", "catalyst.outbox"):
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(f"DELETE FROM {table}")
    with pytest.raises(errors.InsufficientPrivilege):
        connection.execute("UPDATE raw.payload SET sha256 = sha256, size_bytes = 0")


def test_a_purge_whose_time_is_up_has_kept_what_it_did_and_the_next_goes_on(database: Database) -> None:
    count = 2 * BODIES_A_BATCH + 10
    fill(database, "many", count)

    cut = purge_bodies(database, BEFORE, time.monotonic())
    rest = purge_bodies(database, BEFORE, float("inf"))

    assert (cut.count, cut.is_complete) == (BODIES_A_BATCH, False)
    assert (rest.count, rest.is_complete) == (count - BODIES_A_BATCH - 1, True), "all but the latest of the URL"


def test_two_purges_at_once_share_the_work(database: Database, connection: psycopg.Connection[Any]) -> None:
    count = 3 * BODIES_A_BATCH
    fill(database, "shared", count)
    counts: list[int] = []

    threads = [threading.Thread(target=lambda: counts.append(purge(database))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts) == count - 1
    latest = hashlib.sha256(f"shared{count}".encode()).hexdigest()
    assert is_held(connection, latest)
