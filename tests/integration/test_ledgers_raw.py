"""The raw store and the quarantine on real tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from omc_infra.errors import PayloadChangedError
from omc_infra.payload import Payload, request_identity
from omc_infra.postgres.database import Database
from omc_pipeline.ledgers.migrations.j0001b_request_identity import IDENTITY_OF_URL
from omc_pipeline.ledgers.quarantine import open_rows, quarantine, resolve
from omc_pipeline.ledgers.raw import PostgresRawStore

AT = datetime(2026, 9, 21, 14, tzinfo=UTC)


@pytest.fixture
def connection(database: Database):  # type: ignore[no-untyped-def]
    with database.connect("writer") as connection:
        yield connection


def _payload(body: bytes, minute: int = 0, *, source: str = "s", status: int = 200, **context: str) -> Payload:
    return Payload(source, body, AT + timedelta(minutes=minute), "https://x/y", status, "application/json", context)


def _count(connection: psycopg.Connection, table: str, source: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM raw.{table} WHERE source = %s", [source]).fetchone()
    return int(row[0]) if row else 0


def test_a_body_is_kept_once_and_every_fetch_of_it_is_recorded(connection: psycopg.Connection) -> None:
    store = PostgresRawStore(connection)
    first, again = _payload(b'{"a": 1}' * 1_000, source="once"), _payload(b'{"a": 1}' * 1_000, 1, source="once")

    for payload in (first, again, again):
        store.store(payload, etag=None, last_modified=None)

    assert store.body(first.sha256) == first.body
    assert _count(connection, "fetch", "once") == 2
    row = connection.execute("SELECT size_bytes, length(body) < size_bytes FROM raw.payload WHERE sha256 = %s", [first.sha256]).fetchone()
    assert row == (8_000, True)


def test_an_empty_body_is_a_body_too(connection: psycopg.Connection) -> None:
    store, empty = PostgresRawStore(connection), _payload(b"")

    store.store(empty, etag=None, last_modified=None)

    assert store.body(empty.sha256) == b""


def test_a_stored_body_survives_the_rollback_of_what_was_made_of_it(database: Database) -> None:
    payload = _payload(b"kept")
    with database.connect("writer") as connection:
        PostgresRawStore(connection).store(payload, etag=None, last_modified=None)
        connection.rollback()
    with database.connect("writer") as other:
        assert PostgresRawStore(other).body(payload.sha256) == b"kept"


def test_the_validators_of_the_last_parsed_answer_make_the_next_request_conditional(connection: psycopg.Connection) -> None:
    store = PostgresRawStore(connection)
    old, new, failed = _payload(b"1", source="marks"), _payload(b"2", 1, source="marks"), _payload(b"no", 2, source="marks", status=500)

    assert store.validators("marks", old.request_sha256) is None
    store.store(old, etag='"1"', last_modified=None)
    store.store(new, etag='"2"', last_modified="Mon, 21 Sep 2026 14:01:00 GMT")
    store.store(failed, etag='"3"', last_modified=None)
    assert store.validators("marks", old.request_sha256) is None
    store.mark_parsed(old)
    assert _etag(store, old) == '"1"', "the body of the newer one was never parsed"
    store.mark_parsed(new)

    known = store.validators("marks", old.request_sha256)
    assert known is not None
    assert (known.etag, known.last_modified, known.payload_sha256) == ('"2"', "Mon, 21 Sep 2026 14:01:00 GMT", new.sha256)
    assert store.validators("marks", request_identity("GET", "https://x/other")) is store.validators("other", old.request_sha256) is None


def _etag(store: PostgresRawStore, payload: Payload) -> str | None:
    known = store.validators(payload.source, payload.request_sha256)
    return known.etag if known else None


def test_a_mark_falls_with_the_transaction_that_stores_the_rows(connection: psycopg.Connection) -> None:
    store, payload = PostgresRawStore(connection), _payload(b"rows", source="falls")
    store.store(payload, etag='"1"', last_modified=None)

    with connection.transaction(force_rollback=True):
        store.mark_parsed(payload)
        assert _etag(store, payload) == '"1"'

    assert _etag(store, payload) is None


def test_two_requests_to_one_url_are_two(connection: psycopg.Connection) -> None:
    store = PostgresRawStore(connection)
    asked = {name: request_identity("POST", "https://x/graphql", name.encode()) for name in ("blocks", "votes")}
    for name, identity in asked.items():
        payload = Payload("graphql", b'{"data": null}', AT, "https://x/graphql", method="POST", request_sha256=identity, run_id="r1")
        store.store(payload, etag=f'"{name}"', last_modified=None)
        store.mark_parsed(payload)

    known = {name: store.validators("graphql", identity) for name, identity in asked.items()}
    back = list(store.stored("graphql", AT, AT + timedelta(minutes=1)))

    assert {name: found and found.etag for name, found in known.items()} == {"blocks": '"blocks"', "votes": '"votes"'}
    assert [(payload.method, payload.request_sha256, payload.run_id) for payload in back] == [("POST", asked[name], "r1") for name in asked]


def test_fetches_of_before_have_the_identity_that_their_next_request_will_have(connection: psycopg.Connection) -> None:
    url = "https://data.example/submissions/CIK1.json?a=ä"

    filled = connection.execute(f"SELECT {IDENTITY_OF_URL} FROM (SELECT %s AS url) AS asked", [url]).fetchone()

    assert filled == (request_identity("GET", url),)


def test_an_unchanged_answer_is_recorded_as_a_fetch_and_leaves_the_validators(connection: psycopg.Connection) -> None:
    store, details = PostgresRawStore(connection), _payload(b"told", source="unchanged")
    store.store(details, etag='"1"', last_modified=None)
    store.mark_parsed(details)

    store.store(Payload("unchanged", b"told", AT + timedelta(minutes=5), "https://x/y", not_modified=True), etag=None, last_modified=None)

    assert _count(connection, "fetch", "unchanged") == 2
    assert _etag(store, details) == '"1"'


def test_stored_payloads_come_back_as_they_were_fetched_oldest_first_and_without_failures(connection: psycopg.Connection) -> None:
    store = PostgresRawStore(connection)
    for minute, status in ((3, 200), (1, 200), (2, 500), (9, 200)):
        store.store(_payload(f"{minute}".encode(), minute, source="back", status=status, user_id="ada"), etag=None, last_modified=None)

    back = list(store.stored("back", AT, AT + timedelta(minutes=9)))

    assert [(payload.body, payload.fetched_at.minute, dict(payload.context)) for payload in back] == [
        (b"1", 1, {"user_id": "ada"}),
        (b"3", 3, {"user_id": "ada"}),
    ]


def test_a_missing_body_and_a_damaged_one_are_told_apart(database: Database) -> None:
    payload = _payload(b"sound body")
    with database.connect("writer") as connection:
        store = PostgresRawStore(connection)
        store.store(payload, etag=None, last_modified=None)
        with pytest.raises(LookupError):
            store.body("0" * 64)
    with database.connect("owner") as owner:
        owner.execute("UPDATE raw.payload SET body = 'junk' WHERE sha256 = %s", [payload.sha256])
    with database.connect("writer") as connection, pytest.raises(PayloadChangedError, match="can't be unpacked"):
        PostgresRawStore(connection).body(payload.sha256)


def test_a_refused_row_is_kept_once_with_its_reason_and_payload(connection: psycopg.Connection) -> None:
    refused = [("bid above ask", {"coin": "btc", "bid": "2"}), ("no price", {"coin": "eth"})]

    with connection.transaction():
        first, again = (quarantine(connection, "q", refused, "sha") for _ in range(2))
        reordered = quarantine(connection, "q", [("bid above ask", {"bid": "2", "coin": "btc"})], "other")

    assert (first, again, reordered) == (2, 0, 0)
    assert [(row.reason, row.row["coin"], row.payload_sha256) for row in open_rows(connection, "q")] == [
        ("no price", "eth", "sha"),
        ("bid above ask", "btc", "other"),
    ]
    assert open_rows(connection, "nobody") == []
    assert len(open_rows(connection)) >= 2


def test_a_row_refused_again_names_the_newest_body_whatever_order_the_bodies_are_read_in(connection: psycopg.Connection) -> None:
    older, newer = _payload(b"older"), _payload(b"newer", 60)
    refused = [("no price", {"coin": "again"})]
    with connection.transaction():
        for payload in (older, newer):
            PostgresRawStore(connection).store(payload, etag=None, last_modified=None)
            quarantine(connection, "again", refused, payload.sha256)
        (held,) = open_rows(connection, "again")
        quarantine(connection, "again", refused, older.sha256)  # a replay of the older body
        (after_replay,) = open_rows(connection, "again")

        closed = resolve(connection, "again", {newer.sha256}, [])

    assert held.payload_sha256 == after_replay.payload_sha256 == newer.sha256
    assert closed == 1


def test_rows_that_a_new_reading_accepts_leave_and_come_back_when_refused_again(connection: psycopg.Connection) -> None:
    good, bad = ("no price", {"coin": "good"}), ("no price", {"coin": "bad"})
    with connection.transaction():
        quarantine(connection, "r", [good, bad], "sha")

        resolved = resolve(connection, "r", {"sha"}, [bad])
        untouched = resolve(connection, "r", {"another"}, [])

    assert (resolved, untouched) == (1, 0)
    assert [row.row["coin"] for row in open_rows(connection, "r")] == ["bad"]
    assert quarantine(connection, "r", [good], "sha") == 1
    assert {row.row["coin"] for row in open_rows(connection, "r")} == {"good", "bad"}
