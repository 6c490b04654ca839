"""CryptoPanic collected: votes as they change, its token nowhere, and each refusal for what it is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest

from omc_infra.errors import AccessDeniedError, NotConfiguredError, OmcError, RateLimitedError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.sections import source_config
from omc_pipeline.collection.source import Source
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.sandbox.server import serving
from tests.integration.http_upstream import Reply, Upstream
from tests.integration.http_upstream import upstream as serving_upstream
from tests.integration.sandboxed import impatient, one, spoil

KEY = "sandbox-cryptopanic"


@pytest.fixture(scope="module")
def sandboxed(settings: Settings) -> Iterator[Settings]:
    """Run a sandbox for the module."""
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving_upstream() as server:
        yield server


def _panic(name: str) -> Source:
    """Return the source under a name and in a host group of its own; it tries once and never waits."""
    source = impatient(discover_sources()["human_cryptopanic"])
    assert source.policy is not None
    return dataclasses.replace(source, name=f"human_{name}", policy=dataclasses.replace(source.policy, group=name))


def _body(*posts: dict[str, Any]) -> bytes:
    common = {"title": "A title", "published_at": "2026-09-21T13:00:00Z", "source": {"domain": "p.invalid"}, "url": "https://p.invalid/"}
    return json.dumps({"next": None, "results": [{**common, **post} for post in posts]}).encode()


def test_posts_come_page_by_page_with_their_votes(database: Database, sandboxed: Settings) -> None:
    source = _panic("c1")

    did = collect(source, database, sandboxed, config=source_config(source, {"pages": 2}))

    assert did.payloads == 2
    assert did.tables["human.post"].inserted == 40
    assert did.tables["human.post_vote"].inserted == 40 * 9
    assert one(database, "SELECT count(*) FROM human.post WHERE source = %s AND link LIKE '%%utm%%'", source.name) == 0


def test_votes_that_change_are_versions_and_the_post_stays_as_it_is(database: Database, sandboxed: Settings) -> None:
    source = _panic("c2")
    spoil(sandboxed, "cryptopanic", "late", count=3)
    collect(source, database, sandboxed, config=source_config(source, {"pages": 3}))

    did = collect(source, database, sandboxed, config=source_config(source, {"pages": 3}))

    assert did.tables["human.post_vote"].changed > 0
    assert one(database, "SELECT max(version) FROM human.post_vote WHERE source = %s", source.name) == 2


def test_the_token_is_in_no_body_url_or_row(database: Database, sandboxed: Settings) -> None:
    source = _panic("c3")
    collect(source, database, sandboxed)

    with database.connect("writer") as connection:
        raw = PostgresRawStore(connection)
        found = connection.execute("SELECT payload_sha256, url FROM raw.fetch WHERE source = %s", [source.name]).fetchall()
        bodies = [raw.body(sha256) for sha256, _ in found]
    assert all(KEY.encode() not in body and b"auth_token=[redacted]" in body for body in bodies)
    assert all(KEY not in url for _, url in found)


def test_a_token_of_an_earlier_day_is_cut_out_of_a_link_too(database: Database, settings: Settings, upstream: Upstream) -> None:
    source, settings = _panic("c4"), settings.model_copy(update={"sandbox_url": upstream.url})
    link = "https://cryptopanic.com/api/developer/v2/posts/?auth_token=another-token&page=2"
    upstream.replies = [Reply(body=_body({"id": 1}).replace(b'"next": null', f'"next": "{link}"'.encode()))]

    collect(source, database, settings)

    with database.connect("writer") as connection:
        (sha256,) = connection.execute("SELECT payload_sha256 FROM raw.fetch WHERE source = %s", [source.name]).fetchone() or ("",)
        assert b"another-token" not in PostgresRawStore(connection).body(sha256)


@pytest.mark.parametrize(
    ("reply", "error", "wait_s"),
    [
        (Reply(429, b'{"status": "api_error", "info": "API monthly quota exceeded"}'), RateLimitedError, 86_400),
        (Reply(403, b'{"status": "api_error", "info": "API monthly quota exceeded"}'), RateLimitedError, 86_400),
        (Reply(200, b'{"status": "api_error", "info": "API monthly quota exceeded"}'), RateLimitedError, 86_400),
        (Reply(429, b"{}", {"Retry-After": "400"}), RateLimitedError, 400),
        (Reply(403, b"error code: 1010"), RateLimitedError, 300),
        (Reply(401, b'{"info": "Token not found"}'), AccessDeniedError, None),
        (Reply(403, b'{"info": "This plan has no access"}'), AccessDeniedError, None),
        (Reply(200, b'{"info": "Token not found"}'), AccessDeniedError, None),
    ],
    ids=["quota 429", "quota 403", "quota 200", "too fast", "guard", "401", "plan", "token 200"],
)
def test_a_refusal_is_told_for_what_it_is_and_asked_again_when_it_may_help(
    database: Database, settings: Settings, upstream: Upstream, reply: Reply, error: type[OmcError], wait_s: float | None
) -> None:
    name = f"c5{abs(hash((reply.status, reply.body))) % 10**8}"
    source, settings = _panic(name), settings.model_copy(update={"sandbox_url": upstream.url})
    upstream.replies = [reply]

    with pytest.raises(error) as raised:
        collect(source, database, settings)

    assert getattr(raised.value, "retry_after_s", None) == (pytest.approx(wait_s, abs=5) if wait_s else None)
    if wait_s:
        with pytest.raises(RateLimitedError, match="no requests allowed"):
            collect(source, database, settings)
    assert len(upstream.asked) == 1


def test_a_count_that_is_none_loses_neither_the_post_nor_the_other_counts(
    database: Database, settings: Settings, upstream: Upstream
) -> None:
    source, settings = _panic("c6"), settings.model_copy(update={"sandbox_url": upstream.url})
    upstream.replies = [Reply(body=_body({"id": 7, "votes": {"positive": 3, "negative": None, "lol": "many"}}, {"id": 8, "votes": []}))]

    did = collect(source, database, settings)

    assert (did.tables["human.post"].inserted, did.tables["human.post_vote"].inserted, did.quarantined) == (2, 1, 3)


def test_live_without_its_key_it_is_not_configured(database: Database, settings: Settings) -> None:
    with pytest.raises(NotConfiguredError, match="OMC_KEY_CRYPTOPANIC"):
        collect(_panic("c7"), database, settings.model_copy(update={"profile": "live"}))


def test_the_plan_is_part_of_the_path(database: Database, settings: Settings, upstream: Upstream) -> None:
    source, settings = _panic("c8"), settings.model_copy(update={"sandbox_url": upstream.url})
    upstream.replies = [Reply(body=_body({"id": 1}))]

    collect(source, database, settings, config=source_config(source, {"plan": "growth", "currencies": ["BTC", "ETH"]}))

    assert upstream.asked[0].path == f"/cryptopanic/api/growth/v2/posts/?currencies=BTC%2CETH&auth_token={KEY}"
