"""Bodies of upstream answers in S3: each once, read again by a replay, let go of after their retention, erased with their user."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from local_s3 import serving_s3, storage_table
from sandboxed import one

from omc_infra.clock import utc_now
from omc_infra.errors import ConfigurationError
from omc_infra.objects import Objects, storage_of
from omc_infra.payload import Payload
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.erasing import erase_user
from omc_pipeline.collection.replay import replay
from omc_pipeline.ledgers.bodies import bodies_of, delete_unwanted, name_of
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.ledgers.retention import purge_bodies
from omc_pipeline.sandbox import serving
from omc_pipeline.sources.exchange_coinspot_account import SOURCE as ACCOUNT
from omc_pipeline.sources.human_fear_greed import SOURCE as MOOD

AT = datetime(2026, 1, 5, 14, tzinfo=UTC)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with serving_s3() as url:
        yield url


@pytest.fixture(scope="module")
def sandboxed(settings: Settings, s3: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Run a sandbox whose bodies go to S3."""
    file = tmp_path_factory.mktemp("s3") / "omc.toml"
    file.write_text(storage_table(s3, bodies="s3"))
    with pytest.MonkeyPatch.context() as patch, serving(settings) as url:
        patch.setenv("NO_PROXY", "127.0.0.1")
        keys = Settings(keys={"s3": "a-key-of-s3", "s3_secret": "a-secret-of-s3"}).keys
        yield settings.model_copy(update={"sandbox_url": url, "config": file, "keys": keys})


@pytest.fixture
def bodies(sandboxed: Settings) -> Objects:
    found = bodies_of(sandboxed)
    assert found is not None
    return found


def payload(body: bytes, minute: int = 0) -> Payload:
    return Payload("kept", body, AT + timedelta(minutes=minute), "https://x/y")


def stored(database: Database, sha256: str) -> Any:
    return one(database, "SELECT convert_from(body, 'UTF8') FROM raw.payload WHERE sha256 = %s", sha256)


def test_a_body_lies_in_s3_once_and_the_table_says_where(database: Database, bodies: Objects) -> None:
    first = payload(b"a body" * 1_000)
    with database.connect("writer") as connection:
        store = PostgresRawStore(connection, bodies)
        store.store(first, etag=None, last_modified=None)
        bodies.delete(name_of(first.sha256))
        store.store(payload(b"a body" * 1_000, 1), etag=None, last_modified=None)
        with pytest.raises(LookupError):
            store.body(first.sha256)  # the second fetch wrote nothing: it knew the body

        again = payload(b"another body")
        store.store(again, etag=None, last_modified=None)

        assert store.body(again.sha256) == b"another body"
        assert [each.body for each in store.stored("kept", AT, AT + timedelta(minutes=2))] == [b"another body"]
    assert stored(database, again.sha256) == "obj:s3://lakes/omc/bodies"


def test_who_looks_elsewhere_is_told_where_the_body_lies(database: Database, bodies: Objects) -> None:
    kept = payload(b"elsewhere")
    with database.connect("writer") as connection:
        PostgresRawStore(connection, bodies).store(kept, etag=None, last_modified=None)

        with pytest.raises(ConfigurationError, match="is stored in s3://lakes/omc/bodies"):
            PostgresRawStore(connection).body(kept.sha256)


def test_a_replay_reads_what_a_collection_stored_in_s3(database: Database, sandboxed: Settings, bodies: Objects) -> None:
    began = utc_now()
    collected = collect(MOOD, database, sandboxed)

    again = replay(MOOD, database, began, utc_now(), bodies=bodies)

    assert again.payloads == collected.payloads > 0
    assert again.tables["human.sentiment"].unchanged == collected.rows
    pointers = (
        "SELECT bool_and(body = 'obj:s3://lakes/omc/bodies') FROM raw.payload JOIN raw.fetch ON sha256 = payload_sha256 WHERE source = %s"
    )
    assert one(database, pointers, MOOD.name) is True


def test_what_is_past_its_retention_is_deleted_in_s3_unless_it_came_again(database: Database, bodies: Objects) -> None:
    old, latest, back = payload(b"old"), payload(b"latest", 60), payload(b"back", 5)
    with database.connect("writer") as connection:
        store = PostgresRawStore(connection, bodies)
        for each in (old, back, latest):
            store.store(each, etag=None, last_modified=None)
    purge_bodies(database, AT + timedelta(minutes=30), time.monotonic() + 60)
    with database.connect("writer") as connection:
        PostgresRawStore(connection, bodies).store(payload(b"back", 90), etag=None, last_modified=None)

    deleted = delete_unwanted(database, bodies)

    assert deleted >= 1
    assert one(database, "SELECT count(*) FROM raw.unwanted") == 0
    with pytest.raises(LookupError):
        bodies.read(name_of(old.sha256))
    assert bodies.read(name_of(back.sha256))
    assert bodies.read(name_of(latest.sha256))


def test_bodies_of_an_erased_user_are_deleted_in_s3(database: Database, sandboxed: Settings, bodies: Objects) -> None:
    collect(ACCOUNT, database, sandboxed.model_copy(update={"user": "erased"}))
    with database.connect("reader") as connection:
        private = connection.execute("SELECT DISTINCT payload_sha256 FROM raw.fetch WHERE context->>'user_id' = 'erased'").fetchall()
    assert all(bodies.read(name_of(sha256)) for (sha256,) in private)
    assert len(private) == 2

    with database.connect("owner") as connection:
        erase_user(connection, "erased", "a test")
    delete_unwanted(database, bodies)

    for (sha256,) in private:
        with pytest.raises(LookupError):
            bodies.read(name_of(sha256))


def test_a_wrong_section_is_told_with_its_file_and_line(sandboxed: Settings, tmp_path: Path) -> None:
    for text, said in (
        ('[storage]\nbodies = "s3"\n', "no bucket is set"),
        ('[storage]\nbodies = "tape"\n', r"omc.toml:2: storage.bodies"),
        ('[storage]\ns3 = "https://bucket"\n', "must be like s3://bucket/prefix"),
        ('[storage]\ns3_key = "x"\n', "s3_key"),
    ):
        file = tmp_path / "omc.toml"
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=said):
            storage_of(sandboxed.model_copy(update={"config": file}))
