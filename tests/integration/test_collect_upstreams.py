"""Collecting from upstreams that cut a body, ban us, or echo our key: on a real database, over real HTTP."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from omc_infra.errors import AccessDeniedError, PayloadChangedError, RateLimitedError
from omc_infra.http import PostgresLimits
from omc_infra.payload import Payload
from omc_infra.postgres.database import Database
from omc_infra.settings import PROJECT_ROOT, Settings
from omc_pipeline.collection.accounts import Account
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import source_named
from omc_pipeline.collection.keys import SandboxKeys
from omc_pipeline.collection.replay import replay
from omc_pipeline.collection.tally import Collection
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.sources.catalyst_sec_edgar import EdgarConfig

sys.path.insert(0, str(Path(__file__).parent))

from http_upstream import Reply, Upstream
from http_upstream import upstream as serving_upstream

FILERS = EdgarConfig().filers
INDEX = (PROJECT_ROOT / "tests/fixtures/human_fear_greed/index.json").read_bytes()


SUBMISSIONS = (PROJECT_ROOT / "tests/fixtures/catalyst_sec_edgar/submissions.json").read_bytes()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving_upstream() as server:
        yield server


def collected(name: str, upstream: Upstream, database: Database, settings: Settings) -> Collection:
    source = source_named(name)
    endpoints = [endpoint for endpoint in source.endpoints if endpoint.name != "feed"]
    return collect(source, database, settings.model_copy(update={"sandbox_url": upstream.url}), endpoints=endpoints)


def rows_of(database: Database, statement: str, *values: object) -> list[Any]:
    with database.connect("writer") as connection:
        return connection.execute(statement, values).fetchall()


def test_a_cut_body_does_not_keep_a_conditional_source_from_the_whole_one(
    upstream: Upstream, database: Database, settings: Settings
) -> None:
    cut, whole = (Reply(200, body, {"ETag": '"v1"'}) for body in (SUBMISSIONS[: len(SUBMISSIONS) // 2], SUBMISSIONS))
    upstream.replies = [*[cut] * len(FILERS), whole]

    with pytest.raises(PayloadChangedError):
        collected("catalyst_sec_edgar", upstream, database, settings)
    details, unchanged = (collected("catalyst_sec_edgar", upstream, database, settings) for _ in range(2))

    assert details.rows > 0
    assert unchanged.rows == details.rows
    sent = [asked.headers.get("If-None-Match") for asked in upstream.asked]
    assert sent == [None] * 2 * len(FILERS) + ['"v1"'] * len(FILERS)
    fetches = "SELECT status, parsed_at IS NOT NULL, count(*) FROM raw.fetch WHERE source = %s GROUP BY 1, 2 ORDER BY min(fetch_id)"
    assert rows_of(database, fetches, "catalyst_sec_edgar") == [(200, False, 5), (200, True, 5), (304, True, 5)]


def test_a_body_that_replay_reads_after_its_parser_was_mended_counts_as_parsed(database: Database, settings: Settings) -> None:
    at = datetime(2026, 9, 25, tzinfo=UTC)
    payload = Payload("human_fear_greed", INDEX, at, "https://x/replayed")
    with database.connect("writer") as connection:
        store = PostgresRawStore(connection)
        store.store(payload, etag='"r"', last_modified=None)
        before = store.validators(payload.source, payload.request_sha256)

        replay(source_named("human_fear_greed"), database, at, at.replace(hour=1))

        known = store.validators(payload.source, payload.request_sha256)
    assert before is None
    assert known is not None
    assert known.etag == '"r"'


def test_a_ban_of_edgar_survives_the_collection_and_the_next_one_asks_nothing(
    upstream: Upstream, database: Database, settings: Settings
) -> None:
    upstream.replies = [Reply(403, b"<html><title>SEC.gov | Request Rate Threshold Exceeded</title></html>", {"Content-Type": "text/html"})]

    with pytest.raises(RateLimitedError) as first:
        collected("catalyst_sec_edgar", upstream, database, settings)
    with pytest.raises(RateLimitedError) as second:
        collected("catalyst_sec_edgar", upstream, database, settings)

    assert len(upstream.asked) == 1
    assert first.value.retry_after_s == 600
    assert 300 < (second.value.retry_after_s or 0) <= 600
    with database.connect("writer") as connection:
        assert PostgresLimits(connection).lift("sec.gov")


def test_a_key_that_the_venue_echoes_is_kept_and_told_nowhere(upstream: Upstream, database: Database, settings: Settings) -> None:
    key = SandboxKeys().key("coinspot", Account("demo", "coinspot")).get_secret_value()
    upstream.replies = [Reply(200, f'{{"status":"invalid","message":"key {key}"}}'.encode(), {"ETag": f'"{key}"'})]

    with pytest.raises(AccessDeniedError) as raised:
        collected("exchange_coinspot_account", upstream, database, settings)

    assert "[redacted]" in str(raised.value)
    assert key not in f"{raised.value!r} {raised.value.__cause__!r}"
    stored = "SELECT DISTINCT payload_sha256, etag, method FROM raw.fetch WHERE source = %s"
    ((sha256, etag, method),) = rows_of(database, stored, "exchange_coinspot_account")
    with database.connect("writer") as connection:
        assert PostgresRawStore(connection).body(sha256) == b'{"status":"invalid","message":"key [redacted]"}'
    assert (etag, method) == (None, "POST")
