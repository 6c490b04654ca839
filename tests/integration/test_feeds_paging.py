"""How the sources that page ask: EDGAR's feed, Snapshot by time, the help centre by page; against a real server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from http_upstream import Reply, Upstream
from http_upstream import upstream as serving_upstream
from sandboxed import impatient

from omc_infra.errors import OmcError, RetryableError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.tally import Collection
from omc_pipeline.sources import catalyst_coinspot_announcements, catalyst_sec_edgar, catalyst_snapshot

NOW = datetime(2026, 9, 21, 14, 35, 7, tzinfo=UTC)
ENTRY = """<entry><title>4 - Somebody (000000{n:04d}) (Reporting)</title><summary>x</summary><updated>2026-09-21T{at}-04:00</updated>
<category term="4"/><id>urn:tag:sec.gov,2008:accession-number=0009999901-26-{n:06d}</id></entry>"""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving_upstream() as server:
        yield server


def _collected(source: Any, endpoint: str, upstream: Upstream, database: Database, settings: Settings) -> Collection:
    quick, sandboxed = impatient(source), settings.model_copy(update={"sandbox_url": upstream.url})
    return collect(quick, database, sandboxed, lambda: NOW, endpoints=[quick.endpoint(endpoint)])


def _feed(count: int, at: str) -> Reply:
    entries = "".join(ENTRY.format(n=n, at=at) for n in range(count))
    return Reply(200, f'<?xml version="1.0" encoding="ISO-8859-1" ?><feed><title>é</title>{entries}</feed>'.encode("iso-8859-1"))


def _asked(upstream: Upstream, name: str) -> list[str]:
    return [parse_qs(urlsplit(asked.path).query)[name][0] for asked in upstream.asked]


def test_edgars_feed_is_read_back_to_the_overlap(upstream: Upstream, database: Database, settings: Settings) -> None:
    upstream.replies = [_feed(100, "10:34:00"), _feed(100, "10:30:00"), _feed(100, "10:20:00")]

    _collected(catalyst_sec_edgar.SOURCE, "feed", upstream, database, settings)

    assert _asked(upstream, "start") == ["0", "100", "200"]


def test_a_page_of_edgars_feed_that_is_not_full_is_the_last(upstream: Upstream, database: Database, settings: Settings) -> None:
    upstream.replies = [_feed(40, "10:34:00")]

    _collected(catalyst_sec_edgar.SOURCE, "feed", upstream, database, settings)

    assert len(upstream.asked) == 1


def test_the_error_page_past_the_end_of_the_feed_bans_nobody(upstream: Upstream, database: Database, settings: Settings) -> None:
    upstream.replies = [Reply(503, b"<!DOCTYPE html><html><title>SEC.gov | Unavailable</title></html>", {"Content-Type": "text/html"})]

    with pytest.raises(RetryableError):
        _collected(catalyst_sec_edgar.SOURCE, "feed", upstream, database, settings)
    upstream.replies = [_feed(1, "10:34:00")]

    assert _collected(catalyst_sec_edgar.SOURCE, "feed", upstream, database, settings).payloads == 1


def _proposal(number: int) -> dict[str, Any]:
    return {
        "id": f"0x{number:064x}", "title": "t", "choices": ["a"], "state": "active", "created": 1_789_000_000 + number, "scores": [],
        "scores_state": "", "space": {"id": "ens.eth"},
    }  # fmt: skip


def test_snapshot_is_paged_by_the_time_of_creation(upstream: Upstream, database: Database, settings: Settings) -> None:
    pages = [[_proposal(n) for n in range(1_000)], [_proposal(n) for n in range(999, 1_005)]]
    upstream.replies = [Reply(200, json.dumps({"data": {"proposals": page}}).encode()) for page in pages]

    collected = _collected(catalyst_snapshot.SOURCE, "proposals", upstream, database, settings)

    asked = [json.loads(each.body)["variables"] for each in upstream.asked]
    assert collected.tables["catalyst.event"].inserted == 1_005
    assert asked[1]["after"] == 1_789_000_998
    assert "ens.eth" in asked[0]["spaces"]


def test_a_rate_limit_of_snapshot_is_one_though_its_body_says_unauthorized(
    upstream: Upstream, database: Database, settings: Settings
) -> None:
    upstream.replies = [Reply(429, b'{"error": "unauthorized", "error_description": "too many requests, refer to https://x"}')]

    with pytest.raises(OmcError) as raised:
        _collected(catalyst_snapshot.SOURCE, "proposals", upstream, database, settings)

    assert isinstance(raised.value, RetryableError)


def test_the_help_centre_is_read_whole_once_and_then_back_a_day(upstream: Upstream, database: Database, settings: Settings) -> None:
    article = {
        "id": 5,
        "title": "New coin (WIF)",
        "created_at": "2026-09-01T00:00:00Z",
        "updated_at": "2026-09-01T00:00:00Z",
        "body": "<p>Soon.</p>",
    }
    pages = [{"articles": [{**article, "id": n}], "next_page": "more" if n < 7 else None} for n in (5, 6, 7)]
    upstream.replies = [Reply(200, json.dumps(page).encode()) for page in pages]
    source = catalyst_coinspot_announcements.SOURCE

    first = _collected(source, "articles", upstream, database, settings)
    upstream.replies = [Reply(200, json.dumps(pages[0]).encode())]
    second = _collected(source, "articles", upstream, database, settings)

    assert (first.payloads, second.payloads) == (3, 1)
    assert _asked(upstream, "page") == ["1", "2", "3", "1"]
