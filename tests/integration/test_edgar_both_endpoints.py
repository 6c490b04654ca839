"""One filing told by two endpoints, and by a file whose zone switches, in a real ledger."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from sandboxed import one

from omc_infra.clock import utc_now
from omc_infra.payload import Payload
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.collection.collector import collector
from omc_pipeline.collection.options import SourceConfig
from omc_pipeline.collection.source import Source
from omc_pipeline.collection.tally import Tally
from omc_pipeline.collection.writing import writing
from omc_pipeline.ledgers.human import Sentiment
from omc_pipeline.ledgers.raw import PostgresRawStore
from omc_pipeline.ledgers.write import append
from omc_pipeline.sandbox import serving
from omc_pipeline.sources import catalyst_sec_edgar, catalyst_snapshot, human_fear_greed

AT = datetime(2026, 9, 21, 14, 35, 7, tzinfo=UTC)
FIXTURES = Path(__file__).parent.parent / "fixtures" / "catalyst_sec_edgar"
VERSIONS = "SELECT count(*) FROM catalyst.event"


@pytest.fixture
def sandboxed(settings: Settings) -> Iterator[Settings]:
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def _taken(database: Database, source: Source, *bodies: bytes, config: SourceConfig | None = None) -> Tally:
    """Store bodies one after another, as a collection does."""
    with writing(database, source) as connection:
        tally = Tally(source)
        for number, body in enumerate(bodies):
            payload = Payload(source.name, body, AT + timedelta(minutes=number), "https://x")
            PostgresRawStore(connection).store(payload, etag=None, last_modified=None)
            tally.take(connection, payload, config or source.config())
    return tally


def _filing(accession: str, accepted: str, *, form: str = "8-K") -> bytes:
    document: dict[str, Any] = json.loads((FIXTURES / "submissions.json").read_bytes())
    document["filings"]["recent"] = {
        "accessionNumber": [accession], "acceptanceDateTime": [accepted], "form": [form], "items": ["7.01,9.01"],
        "filingDate": ["2026-09-21"], "primaryDocument": ["a.htm"],
    }  # fmt: skip
    return json.dumps(document).encode()


def _latest(database: Database, accession: str) -> tuple[Any, ...]:
    with database.connect("reader") as connection:
        row = connection.execute(
            "SELECT version, published_at, published_zone, ticker FROM catalyst.event WHERE event_id = %s ORDER BY version DESC LIMIT 1",
            [accession],
        ).fetchone()
    assert row is not None
    return tuple(row)


def test_a_file_that_switches_its_zone_restates_no_filing(database: Database, shared: Path) -> None:
    files = [shared / "payload-shapes" / "sec_zone" / f"CIK0001677077_{day}_first40.json" for day in ("20260310", "20260620")]

    _taken(database, catalyst_sec_edgar.SOURCE, *[file.read_bytes() for file in files])

    assert one(database, "SELECT count(*) FROM catalyst.event WHERE version > 1") == 0
    assert one(database, VERSIONS) > 40


def test_an_undecided_file_that_switches_its_zone_restates_no_filing_either(database: Database) -> None:
    accession = "0001050446-26-000901"

    _taken(
        database,
        catalyst_sec_edgar.SOURCE,
        _filing(accession, "2026-09-18T16:46:18.000Z"),
        _filing(accession, "2026-09-18T20:46:18.000Z"),
    )

    assert _latest(database, accession) == (1, datetime(2026, 9, 18, 16, 46, 18, tzinfo=UTC), "undecided", "MSTR")


def test_what_the_feed_told_first_is_one_event_that_its_filers_file_completes(database: Database) -> None:
    accession, feed = "0001050446-26-000778", (FIXTURES / "feed.xml").read_bytes()
    file = _filing(accession, "2026-09-21T10:29:41.000Z")

    _taken(database, catalyst_sec_edgar.SOURCE, feed, file, feed, file)

    assert _latest(database, accession) == (2, datetime(2026, 9, 21, 14, 29, 41, tzinfo=UTC), "offset", "MSTR")
    assert one(database, "SELECT count(*) FROM catalyst.outbox WHERE event_id = %s", accession) == 1


def test_the_feed_corrects_the_time_of_an_undecided_filing_once(database: Database) -> None:
    accession = "0001050446-26-000779"
    file, feed = _filing(accession, "2026-09-21T10:29:41.000Z"), (FIXTURES / "feed.xml").read_bytes().replace(b"-000778", b"-000779")

    _taken(database, catalyst_sec_edgar.SOURCE, file, feed, file, feed)

    assert _latest(database, accession) == (2, datetime(2026, 9, 21, 14, 29, 41, tzinfo=UTC), "offset", "MSTR")


def test_a_filing_just_announced_is_collected_from_the_feed_with_its_true_time(database: Database, sandboxed: Settings) -> None:
    asked = Request(f"{sandboxed.sandbox_url}/_control/filings", b'{"cik": "1050446"}', {"Content-Type": "application/json"})
    with urlopen(asked, timeout=5) as answer:
        announced = json.load(answer)
    source = catalyst_sec_edgar.SOURCE

    collect(source, database, sandboxed, endpoints=[source.endpoint("feed")])
    version, published_at, zone, ticker = _latest(database, announced["accession_number"])
    collect(source, database, sandboxed)
    again = collect(source, database, sandboxed)

    assert (version, zone, ticker) == (1, "offset", None)
    assert abs(published_at - datetime.fromisoformat(announced["accepted_at"])) < timedelta(seconds=1)
    assert _latest(database, announced["accession_number"])[:2] == (2, published_at)
    assert all(count.inserted == count.changed == 0 for count in again.tables.values())


def test_the_newest_time_a_fetch_is_told_is_never_of_the_future(database: Database, sandboxed: Settings) -> None:
    source, now = human_fear_greed.SOURCE, datetime.now(UTC)
    row = Sentiment("MARKET", "fear_greed", now.replace(microsecond=0) - timedelta(days=1), 50, "Neutral")  # type: ignore[arg-type]
    poison = dataclasses.replace(row, observed_at=datetime(2099, 1, 1, tzinfo=UTC))
    with database.connect("writer") as connection, connection.transaction():
        append(connection, source.name, [row, poison], None)

    with collector(source, database, sandboxed, utc_now) as collecting:
        since = collecting._since(source.endpoints[0])

    assert since == row.observed_at


def test_the_outcome_of_a_vote_is_a_new_version_of_its_proposal_announced_once(database: Database) -> None:
    document = json.loads((FIXTURES.parent / "catalyst_snapshot" / "proposals.json").read_bytes())
    closed = document["data"]["proposals"][0]
    opened = {**closed, "state": "active", "scores": [], "scores_state": ""}
    counted = {**closed, "scores_state": "pending"}
    bodies = [json.dumps({"data": {"proposals": [each]}}).encode() for each in (opened, counted, closed, closed)]

    _taken(database, catalyst_snapshot.SOURCE, *bodies)

    with database.connect("reader") as connection:
        versions = connection.execute("SELECT version, items FROM catalyst.event WHERE event_id = %s ORDER BY 1", [closed["id"]]).fetchall()
    assert versions == [(1, "active"), (2, "closed"), (3, "closed: For 75 %")]
    assert one(database, "SELECT count(*) FROM catalyst.outbox WHERE event_id = %s", closed["id"]) == 1


def test_rows_of_a_future_day_are_quarantined_and_the_others_kept(database: Database, shared: Path) -> None:
    tally = _taken(database, human_fear_greed.SOURCE, (shared / "payload-shapes" / "human_fear_greed" / "times.json").read_bytes())

    assert one(database, "SELECT count(*) FROM human.sentiment") > 0
    assert one(database, "SELECT count(*) FROM human.sentiment WHERE observed_at > %s AND payload_sha256 IS NOT NULL", AT) == 0
    assert one(database, "SELECT count(*) FROM raw.quarantine WHERE reason LIKE '%%future%%'") == 1
    assert tally.counts().quarantined >= 1


def test_a_million_refused_rows_are_counted_and_the_first_of_them_kept(database: Database) -> None:
    body = b'{"name":"Fear","metadata":{"error":null},"data":[' + b"0," * 999_999 + b"0]}"

    tally = _taken(database, human_fear_greed.SOURCE, body)

    assert tally.counts().quarantined == 1_000_000
    assert one(database, "SELECT count(*) FROM raw.quarantine") <= 1_001
    assert one(database, "SELECT (row ->> 'rows')::int FROM raw.quarantine WHERE row ? 'rows'") == 999_000
