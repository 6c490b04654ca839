"""Documents of filings in a real ledger: what a filing says is there right after the filing, once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from sandboxed import impatient, spoil

from omc_infra.clock import utc_now
from omc_infra.errors import AccessDeniedError, OmcError
from omc_infra.postgres.database import Database
from omc_infra.settings import Settings
from omc_pipeline.collection.collecting import collect
from omc_pipeline.documents.reader import read_document
from omc_pipeline.documents.rules import extract
from omc_pipeline.sandbox import serving
from omc_pipeline.sources._edgar_documents import listed_documents
from omc_pipeline.sources.catalyst_sec_edgar import SOURCE, EdgarConfig, error_of

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
    assert (event_id, name, kind, state, version) == (number, "main", "main", "fetched", 1)
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


def test_what_the_archive_lacks_is_missing_and_asked_for_again_after_a_while(database: Database, sandboxed: Settings) -> None:
    number = announce_filing(sandboxed, cik="0001050446", items="8.01")
    wanted, lost = SOURCE.endpoint("documents"), "0000000001-26-000001"
    collect(SOURCE, database, sandboxed, endpoints=[SOURCE.endpoint("submissions")])
    with database.connect("writer") as connection:
        connection.execute(
            "INSERT INTO catalyst.event (source, event_id, event_type, issuer, title, form, url, published_at, version, recorded_at,"
            " row_sha256) SELECT source, %s, event_type, issuer, title, form, replace(url, '1050446', '1'), published_at, 1, recorded_at,"
            " row_sha256 FROM catalyst.event WHERE event_id = %s",
            [lost, number],
        )

    for minutes in (0, 5, 11, 19, 21, 29):
        collect(SOURCE, database, sandboxed, lambda later=minutes: utc_now() + timedelta(minutes=later), endpoints=[wanted])  # type: ignore[misc]

    rows = [(row[3], row[5]) for row in documents(database) if row[0] == lost]
    assert [row[3] for row in documents(database) if row[0] == number] == ["fetched"]
    assert rows == [("missing", 1), ("missing", 2), ("missing", 3)]


def test_a_filing_whose_documents_failed_halfway_is_asked_for_as_a_whole_again(database: Database, sandboxed: Settings) -> None:
    number = announce_filing(sandboxed, cik="0001679788", items="2.02,9.01")
    source = impatient(SOURCE)
    collect(source, database, sandboxed, endpoints=[source.endpoint("submissions")])
    for kind, count in (("slow", 2), ("500", 1)):  # the page and the press release come, the filing itself fails
        spoil(sandboxed, "sec_edgar_www", kind, count)

    with pytest.raises(OmcError):
        collect(source, database, sandboxed, endpoints=[source.endpoint("documents")])
    collect(source, database, sandboxed, endpoints=[source.endpoint("documents")])

    assert {(row[2], row[3], row[5]) for row in documents(database) if row[0] == number} == {
        ("exhibit", "fetched", 1),
        ("main", "fetched", 1),
    }


def test_the_page_of_a_filing_lists_its_press_releases_and_then_the_filing() -> None:
    folder = "/Archives/edgar/data/1/000000000126000001"
    row = '<tr><td>1</td><td>x</td><td><a href="{href}">x</a></td><td>{type}</td></tr>'
    links = [
        (f"/ix?doc={folder}/a.htm", "8-K"), (f"{folder}/ex991.htm", "EX-99.1"), (f"{folder}/ex992.htm", "EX-99.2"),
        (f"{folder}/picture.jpg", "GRAPHIC"), ("/Archives/edgar/data/2/000000000226000002/b.htm", "EX-99.3"), (f"{folder}/../c.htm", "8-K"),
    ]  # fmt: skip
    page = "<table>" + "".join(row.format(href=href, type=type_) for href, type_ in links) + "</table>"

    found = listed_documents(page.encode(), folder, "8-K", 1)

    assert [(each.path, each.kind) for each in found] == [(f"{folder}/ex991.htm", "exhibit"), (f"{folder}/a.htm", "main")]
    assert listed_documents(b"", folder, "8-K", 1) == listed_documents(b"\x00<tr", folder, "8-K", 1) == []


def test_a_page_of_the_sec_itself_is_no_document_whatever_its_status() -> None:
    page = b"<html><head><title>SEC.gov | Your Request Originates from an Undeclared Automated Tool</title></head></html>"

    assert isinstance(error_of(200, page), AccessDeniedError)
    assert error_of(200, b"<html><head><title>8-K</title></head></html>") is None
