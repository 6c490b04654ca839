"""Reddit collected: scores as they change, no author anywhere, and no word left of a post that was taken back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from omc_infra.errors import AccessDeniedError, NotConfiguredError, OmcError, UpstreamRefusedError, UpstreamUnavailableError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.sections import source_config
from omc_pipeline.collection.source import Source
from omc_pipeline.collection.tally import Collection
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.sandbox.server import serving
from omc_pipeline.sources._reddit import scrubbed
from tests.integration.http_upstream import Reply, Upstream
from tests.integration.http_upstream import upstream as serving_upstream
from tests.integration.sandboxed import impatient, one, spoil

NOW = int(datetime.now(UTC).timestamp()) - 3_600
TOKEN = Reply(body=b'{"access_token": "token-of-an-hour", "expires_in": 3600}')
ONE = {"subreddits": ["Bitcoin"]}


@pytest.fixture(scope="module")
def sandboxed(settings: Settings) -> Iterator[Settings]:
    """Run a sandbox for the module."""
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving_upstream() as server:
        yield server


def _reddit(name: str) -> Source:
    """Return the source under a name and in a host group of its own; it tries once and never waits."""
    source = impatient(discover_sources()["human_reddit"])
    assert source.policy is not None
    return dataclasses.replace(source, name=f"human_{name}", policy=dataclasses.replace(source.policy, group=name))


def _listing(*posts: dict[str, Any]) -> bytes:
    common = {
        "subreddit": "Bitcoin", "author": "some_person", "author_fullname": "t2_some_person", "title": "A secret title", "score": 1,
        "selftext": "Secret words", "created_utc": float(NOW), "num_comments": 0, "removed_by_category": None, "url": "https://p.invalid/s",
    }  # fmt: skip
    return json.dumps({"kind": "Listing", "data": {"children": [{"kind": "t3", "data": {**common, **post}} for post in posts]}}).encode()


def _collect(source: Source, database: Database, settings: Settings, upstream: Upstream, *bodies: bytes) -> Collection:
    """Collect one subreddit from an upstream that gives a token and then these bodies."""
    upstream.replies = [TOKEN, *(Reply(body=body) for body in bodies)]
    upstream.asked.clear()
    return collect(source, database, settings.model_copy(update={"sandbox_url": upstream.url}), config=source_config(source, ONE))


def _everything(database: Database, source: Source) -> str:
    """Return all that is stored of a source: rows, refused rows, fetches and bodies, as one text."""
    parts: list[str] = []
    with database.connect("writer") as connection:
        for table in ("human.post", "human.post_vote", "human.erasure", "raw.quarantine", "raw.fetch"):
            parts += [row for (row,) in connection.execute(f"SELECT row_to_json(t)::text FROM {table} t WHERE source = %s", [source.name])]
        held = "SELECT DISTINCT sha256 FROM raw.fetch JOIN raw.payload ON sha256 = payload_sha256 WHERE source = %s AND body IS NOT NULL"
        hashes = [sha256 for (sha256,) in connection.execute(held, [source.name])]
        parts += [PostgresRawStore(connection).body(sha256).decode() for sha256 in hashes]
    return "\n".join(parts)


def test_new_posts_of_each_subreddit_come_with_score_and_comments(database: Database, sandboxed: Settings) -> None:
    source = _reddit("r1")

    did = collect(source, database, sandboxed)

    assert did.tables["human.post"].inserted > 40
    assert did.tables["human.post_vote"].inserted == 2 * did.tables["human.post"].inserted
    assert "sandbox_alice" not in _everything(database, source)
    assert "token-of-an-hour" not in _everything(database, source)


def test_posts_are_watched_their_scores_have_a_history_and_those_taken_back_are_erased(database: Database, sandboxed: Settings) -> None:
    source = _reddit("r2")
    spoil(sandboxed, "reddit", "late", count=3)
    collect(source, database, sandboxed)

    did = collect(source, database, sandboxed)

    assert did.payloads > 3, "known posts are asked for by their names"
    assert did.tables["human.post_vote"].changed > 0
    assert one(database, "SELECT count(*) FROM human.erasure WHERE source = %s", source.name) > 0
    left = "SELECT count(*) FROM human.post p WHERE source = %s AND title <> '[erased]' AND EXISTS"
    gone = "(SELECT FROM human.post q WHERE (q.source, q.post_id) = (p.source, p.post_id) AND q.removed IS NOT NULL)"
    assert one(database, f"{left} {gone}", source.name) == 0


def test_of_a_post_taken_back_no_word_is_left_in_any_version_body_or_refused_row(
    database: Database, settings: Settings, upstream: Upstream
) -> None:
    source = _reddit("r3")
    _collect(source, database, settings, upstream, _listing({"id": "aaa"}, {"id": "bbb", "title": "Stays", "selftext": ""}))
    again = _listing(
        {"id": "aaa", "title": "A secret title, edited", "num_comments": None}, {"id": "bbb", "title": "Stays", "selftext": ""}
    )
    _collect(source, database, settings, upstream, again, _listing())
    _collect(
        source,
        database,
        settings,
        upstream,
        _listing({"id": "aaa", "title": ""}, {"id": "bbb", "title": "Stays", "selftext": ""}),
        _listing(),
    )
    assert "secret" in _everything(database, source).lower()

    deleted = {"id": "aaa", "author": "[deleted]", "selftext": "[deleted]", "removed_by_category": "deleted"}
    _collect(source, database, settings, upstream, _listing(), _listing(deleted, {"id": "bbb", "title": "Stays", "selftext": ""}))

    kept = _everything(database, source)
    assert "secret" not in kept.lower()
    assert "Stays" in kept
    assert one(database, "SELECT count(*) FROM human.post WHERE source = %s AND post_id = 'aaa'", source.name) == 3
    with database.connect("reader") as connection:
        details = connection.execute(
            "SELECT post_id, reason, versions, bodies FROM human.erasure WHERE source = %s", [source.name]
        ).fetchall()
    assert details == [("aaa", "deleted", 2, 3)]


def test_an_erasure_is_done_once_and_its_post_is_watched_no_more(database: Database, settings: Settings, upstream: Upstream) -> None:
    source = _reddit("r4")
    removed = {"id": "ccc", "selftext": "[removed]", "removed_by_category": "moderator"}
    _collect(source, database, settings, upstream, _listing({"id": "ccc"}))
    _collect(source, database, settings, upstream, _listing(removed), _listing(removed))

    _collect(source, database, settings, upstream, _listing(removed), _listing())

    assert [asked.path.partition("?")[0] for asked in upstream.asked] == ["/reddit_login/api/v1/access_token", "/reddit/r/Bitcoin/new"]
    assert one(database, "SELECT count(*) FROM human.erasure WHERE source = %s", source.name) == 1
    assert one(database, "SELECT max(version) FROM human.post WHERE source = %s", source.name) == 2


def test_an_error_that_erases_nothing_leaves_versions_append_only(database: Database, settings: Settings, upstream: Upstream) -> None:
    source = _reddit("r5")
    _collect(source, database, settings, upstream, _listing({"id": "ddd"}))

    _collect(source, database, settings, upstream, _listing({"id": "ddd", "title": "Another title"}), _listing())

    titles = "SELECT string_agg(title, ' | ' ORDER BY version) FROM human.post WHERE source = %s"
    assert one(database, titles, source.name) == "A secret title | Another title"


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        (b"<!DOCTYPE html><html><head><title>Blocked</title></head><body>u/some_person</body></html>", UpstreamRefusedError, "Blocked"),
        (b'{"json": {"errors": [["RATELIMIT", "you are doing that too much", "ratelimit"]]}}', UpstreamRefusedError, "RATELIMIT"),
        (b'{"message": "Forbidden", "error": 403}', AccessDeniedError, "Forbidden"),
        (b'{"message": "Too Many Requests", "error": 429}', OmcError, "Too Many"),
        (b"not json", OmcError, "can't be scrubbed"),
    ],
)
def test_an_error_with_status_200_is_no_success(
    database: Database, settings: Settings, upstream: Upstream, body: bytes, error: type[OmcError], said: str
) -> None:
    source = _reddit(f"r6{abs(hash(body)) % 10**8}")

    with pytest.raises(error, match=said):
        _collect(source, database, settings, upstream, body)
    assert "some_person" not in _everything(database, source)


def test_a_private_subreddit_keeps_no_other_from_being_read(database: Database, sandboxed: Settings) -> None:
    source = _reddit("r7")

    with pytest.raises(UpstreamUnavailableError, match="1 of 2 failed: r/private_one"):
        collect(source, database, sandboxed, config=source_config(source, {"subreddits": ["private_one", "Bitcoin"]}))

    assert one(database, "SELECT count(*) FROM human.post WHERE source = %s", source.name) > 10


def test_a_user_agent_as_reddit_wants_it_is_sent(database: Database, settings: Settings, upstream: Upstream) -> None:
    source, agent = _reddit("r8"), "linux:org.example.omc:1 (by /u/example)"
    upstream.replies = [TOKEN, Reply(body=_listing({"id": "eee"}))]

    config = source_config(source, {**ONE, "agent": agent})
    collect(source, database, settings.model_copy(update={"sandbox_url": upstream.url}), config=config)

    assert upstream.asked[1].headers["User-Agent"] == agent


def test_live_without_its_keys_it_is_not_configured(database: Database, settings: Settings) -> None:
    with pytest.raises(NotConfiguredError, match="OMC_KEY_REDDIT_CLIENT_ID and OMC_KEY_REDDIT_CLIENT_SECRET"):
        collect(_reddit("r9"), database, settings.model_copy(update={"profile": "live"}))


def test_a_scrubbed_body_names_nobody() -> None:
    parent = {"id": "par", "author": "the_parent", "subreddit": "u_the_parent", "title": "x", "selftext": "y"}
    post = {"id": "fff", "selftext": "Thanks /u/a_friend and [him](/user/b_friend)", "crosspost_parent_list": [parent]}
    post |= {"approved_by": "a_mod", "author_flair_text": "flair of some_person", "media": {"oembed": {"author_name": "c_friend"}}}

    text = scrubbed(_listing(post)).decode()

    names = ("some_person", "the_parent", "a_friend", "b_friend", "c_friend", "a_mod")
    assert [name for name in names if name in text] == []
    assert json.loads(text)["data"]["children"][0]["data"]["crosspost_parent_list"] == [{"id": "par"}]


def test_a_recorded_listing_names_nobody_after_scrubbing(shared: Path) -> None:
    body = (shared / "payloads/reddit/listing_askreddit_hot.json").read_bytes()
    authors = {child["data"]["author"] for child in json.loads(body)["data"]["children"]} - {"[deleted]"}

    text = scrubbed(body).decode()

    assert [author for author in authors if f'"{author}"' in text] == []


@pytest.mark.parametrize(
    ("marks", "reason"),
    [
        ({"author": "[deleted]", "selftext": "[deleted]"}, "deleted"),
        ({"removed_by_category": "deleted", "author": "[deleted]", "selftext": ""}, "deleted"),
        ({"selftext": "[removed]"}, "removed"),
        ({"removed_by_category": "automod_filtered", "selftext": "Words"}, "removed"),
        ({"author": "[deleted]", "selftext": ""}, "deleted"),
        ({"author": "[deleted]", "selftext": "The account is gone, the post stands"}, None),
    ],
)
def test_a_post_taken_back_is_known_by_its_marks_and_loses_its_words_before_it_is_stored(marks: dict[str, Any], reason: str | None) -> None:
    text = scrubbed(_listing({"id": "ggg", **marks})).decode()

    assert ("A secret title" in text) == (reason is None)
    assert reason is None or f'"selftext":"[{reason}]"' in text
