"""Documents of filings in a real ledger: what a filing says is there right after the filing, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest

from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.documents.reader import read_document
from omc_pipeline.documents.rules import extract
from omc_pipeline.sandbox import serving
from omc_pipeline.sources.catalyst_sec_edgar import SOURCE, EdgarConfig

DOCUMENTS = "SELECT event_id, name, kind, state, content, version FROM catalyst.document ORDER BY recorded_at, name"


@pytest.fixture
def sandboxed(settings: Settings) -> Iterator[Settings]:
    with serving(settings) as url:
        yield settings.model_copy(update={"sandbox_url": url})


def announce_filing(settings: Settings, **asked: str) -> str:
    body = json.dumps(asked).encode()
    request = Request(f"{settings.sandbox_url}/_control/filings", body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=5) as response:
        return str(json.load(response)["accession_number"])


def documents(database: Database) -> list[tuple[Any, ...]]:
    with database.connect("reader") as connection:
        return connection.execute(DOCUMENTS).fetchall()


def test_a_fresh_filing_brings_its_document_in_the_same_collection_and_only_once(database: Database, sandboxed: Settings) -> None:
    number = announce_filing(sandboxed, cik="0001050446", items="7.01,8.01")

    first = collect(SOURCE, database, sandboxed)
    again = collect(SOURCE, database, sandboxed)

    ((event_id, name, kind, state, content, version),) = [row for row in documents(database) if row[0] == number]
    facts = {fact.kind for fact in extract(read_document(content.encode()))}
    assert (event_id, kind, state, version) == (number, "main", "fetched", 1)
    assert name.endswith(".htm")
    assert {"coins_purchased", "average_price", "holdings_after"} <= facts
    assert first.tables["catalyst.document"].inserted >= 1
    assert again.tables["catalyst.document"].inserted == 0


def test_results_come_with_their_press_release(database: Database, sandboxed: Settings) -> None:
    number = announce_filing(sandboxed, cik="0001679788", items="2.02,9.01")

    collect(SOURCE, database, sandboxed)

    assert {(row[2], row[3]) for row in documents(database) if row[0] == number} == {("exhibit", "fetched"), ("main", "fetched")}


def test_a_document_that_is_too_long_is_named_and_not_kept(database: Database, sandboxed: Settings) -> None:
    number = announce_filing(sandboxed, cik="0001050446", items="8.01")

    collect(SOURCE, database, sandboxed, config=EdgarConfig(document_bytes=1_000))

    assert [(row[3], row[4]) for row in documents(database) if row[0] == number] == [("too_large", None)]


def test_what_the_archive_lacks_is_known_as_missing_and_fails_no_collection(database: Database, sandboxed: Settings) -> None:
    number = announce_filing(sandboxed, cik="0001050446", items="8.01")
    feed, submissions, wanted = SOURCE.endpoints
    collect(SOURCE, database, sandboxed, endpoints=[submissions])
    with database.connect("writer") as connection:
        connection.execute(
            "INSERT INTO catalyst.event (source, event_id, event_type, issuer, title, form, url, published_at, version, recorded_at,"
            " row_sha256) SELECT source, '0000000001-26-000001', event_type, issuer, title, form, replace(url, '1050446', '1'),"
            " published_at, 1, recorded_at, row_sha256 FROM catalyst.event WHERE event_id = %s",
            [number],
        )

    collect(SOURCE, database, sandboxed, endpoints=[wanted])

    states = {row[0]: row[3] for row in documents(database)}
    assert (states[number], states["0000000001-26-000001"]) == ("fetched", "missing")
    assert feed.name == "feed"
