"""EDGAR's times in either zone of a submissions file, titles of odd filings, and its feed of new ones."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from omc_infra.payload import Payload
from omc_pipeline.collection.parsing import parse_payload
from omc_pipeline.collection.source import Parsed
from omc_pipeline.ledgers.catalyst import CatalystEvent
from omc_pipeline.sources.catalyst_sec_edgar import SOURCE, EdgarConfig, ban_of, settle

FIXTURES = Path(__file__).parent.parent / "fixtures" / SOURCE.name
AT = datetime(2026, 9, 21, 14, 35, 7, tzinfo=UTC)


def _parsed(body: bytes | dict[str, Any], config: EdgarConfig | None = None) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_payload(SOURCE, Payload(SOURCE.name, raw, AT, ""), config)


def _file(*times: str, form: str = "8-K", accessions: list[str] | None = None) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FIXTURES / "submissions.json").read_bytes())
    count = len(times)
    numbers = accessions or [f"0001050446-26-{n:06d}" for n in range(count)]
    columns = {"accessionNumber": numbers, "acceptanceDateTime": list(times), "form": [form] * count, "items": [""] * count}
    columns |= {"filingDate": ["2026-03-06"] * count, "primaryDocument": ["a.htm"] * count}
    document["filings"]["recent"] = columns
    return document


def _events(parsed: Parsed) -> list[CatalystEvent]:
    return [row for row in parsed.rows if isinstance(row, CatalystEvent)]


def test_the_same_filings_have_the_same_time_whichever_zone_the_file_was_served_in(shared: Path) -> None:
    folder = shared / "payload-shapes" / "sec_zone"
    march, june = (_events(_parsed((folder / f"CIK0001677077_{day}_first40.json").read_bytes())) for day in ("20260310", "20260620"))

    times = {row.event_id: row.published_at for row in march}
    both = [row for row in june if row.event_id in times]
    assert len(both) > 30
    assert [row.published_at for row in both] == [times[row.event_id] for row in both]
    assert times["0001214659-26-002941"] == datetime(2026, 3, 6, 21, 46, 18, tzinfo=UTC)
    assert ({row.published_zone for row in march}, {row.published_zone for row in june}) == ({"eastern"}, {"utc"})


@pytest.mark.parametrize(
    ("times", "zone", "first"),
    [
        (("2026-03-06T16:46:18.000Z", "2026-03-05T09:59:59.000Z"), "eastern", datetime(2026, 3, 6, 21, 46, 18, tzinfo=UTC)),
        (("2026-07-06T16:46:18.000Z", "2026-03-05T06:00:00.000Z"), "eastern", datetime(2026, 7, 6, 20, 46, 18, tzinfo=UTC)),
        (("2026-03-06T21:46:18.000Z", "2026-03-05T23:00:00.000Z"), "utc", datetime(2026, 3, 6, 21, 46, 18, tzinfo=UTC)),
        (("2026-03-06T21:46:18.000Z", "2026-03-05T03:59:00.000Z"), "utc", datetime(2026, 3, 6, 21, 46, 18, tzinfo=UTC)),
        (("2026-03-06T21:46:18.000Z", "2026-03-05T10:00:00.000Z"), "undecided", datetime(2026, 3, 6, 21, 46, 18, tzinfo=UTC)),
        (("2026-03-06T07:46:18.000Z", "2026-03-05T23:00:00.000Z"), "undecided", datetime(2026, 3, 6, 7, 46, 18, tzinfo=UTC)),
    ],
)
def test_a_files_hours_decide_its_zone(times: tuple[str, ...], zone: str, first: datetime) -> None:
    rows = _events(_parsed(_file(*times)))

    assert {row.published_zone for row in rows} == {zone}
    assert rows[0].published_at == first


def test_a_file_is_not_eastern_where_a_filing_of_it_would_be_of_the_future() -> None:
    just_now = AT - timedelta(minutes=1)
    night = AT.replace(hour=7, minute=0) - timedelta(days=1)

    rows = _events(_parsed(_file(f"{just_now:%Y-%m-%dT%H:%M:%S}.000Z", f"{night:%Y-%m-%dT%H:%M:%S}.000Z")))

    assert [(row.published_zone, row.published_at) for row in rows] == [("utc", just_now), ("utc", night)]


def test_notices_of_the_sec_itself_decide_nothing() -> None:
    effects = _events(_parsed(_file("2026-03-06T00:15:13.000Z", form="EFFECT")))
    own = _events(_parsed(_file("2026-03-06T00:15:13.000Z", accessions=["9999999997-26-000001"])))

    assert [row.published_zone for row in effects + own] == ["undecided", "undecided"]


@pytest.mark.parametrize(
    ("file", "titles"),
    [
        (
            "effect_items.json",
            [
                "EFFECT Notice of Effectiveness - Alpha Mining Ltd",
                "EFFECT Notice of Effectiveness - Alpha Mining Ltd",
                "D Notice of Exempt Offering - Alpha Mining Ltd",
            ],
        ),
        (
            "old_8k_items.json",
            ["8-K Other Events (5), Exhibits (7) - Alpha Mining Ltd", "8-K Results of Operations (12), Exhibits (7) - Alpha Mining Ltd"],
        ),
    ],
)
def test_odd_items_give_titles_that_a_person_understands(shared: Path, file: str, titles: list[str]) -> None:
    parsed = _parsed((shared / "payload-shapes" / "catalyst_sec_edgar" / file).read_bytes())

    assert [row.title for row in _events(parsed)] == titles


def test_the_feed_gives_one_event_a_filing_of_a_followed_filer_or_a_named_party() -> None:
    parsed = _parsed((FIXTURES / "feed.xml").read_bytes())

    filing, named = _events(parsed)
    assert not parsed.rejected
    assert filing.title == "8-K Regulation FD (7.01), Exhibits (9.01) - Strategy Inc"
    assert (filing.event_id, filing.symbol, filing.items) == ("0001050446-26-000778", "BTC", "7.01,9.01")
    assert (filing.published_at, filing.published_zone) == (datetime(2026, 9, 21, 14, 29, 41, tzinfo=UTC), "offset")
    assert filing.filed_on == date(2026, 9, 21)
    assert filing.url == "https://www.sec.gov/Archives/edgar/data/1050446/000105044626000778/0001050446-26-000778-index.htm"
    assert (named.title, named.symbol) == ("4 - Alpha Bitcoin Mines Ltd", "BTC")


def test_each_recorded_filing_is_one_event_however_many_parties_tell_it(shared: Path) -> None:
    body = (shared / "payloads" / "sec_edgar" / "getcurrent_atom_page0.xml").read_bytes()

    everybody = _events(_parsed(body, EdgarConfig(keywords=dict.fromkeys(_WORDS, ""))))
    followed = _events(_parsed(body, EdgarConfig(filers={1690820: "", 1607889: ""}, keywords={})))

    assert len({row.event_id for row in everybody}) == len(everybody) == 20
    assert [(row.event_id, row.issuer) for row in followed] == [
        ("0001700545-25-000020", "CARVANA CO."),
        ("0001607889-25-000020", "Taira Thomas"),
    ]


_WORDS = frozenset(
    {
        "BREAUX", "CARVANA", "Taira", "DCG", "RYAN", "AST", "AUTOZONE", "Alpine", "BOBO", "Edwards", "Fuller", "Giardini", "Gonnelli",
        "Guillemot", "Gupta", "HELEN", "JACKSON", "Klarich", "Lippis", "MOHAWK", "Palo", "Richardson", "SONOCO", "STONE", "Sanders",
        "Trilogy", "Turn", "Walmart", "Walton", "Watson", "COHERENT", "HOOK", "Chaudhary",
    }
)  # fmt: skip


def test_the_page_past_the_end_of_the_feed_is_no_ban() -> None:
    page = b"<!DOCTYPE html><html><head><title>Service Unavailable</title></head></html>"

    assert ban_of(503, page) is None
    assert ban_of(403, b"<html>Request Rate Threshold Exceeded</html>") == 600


def test_a_known_filing_keeps_its_time_and_takes_the_rest_from_its_filers_file() -> None:
    [fed] = [row for row in _events(_parsed((FIXTURES / "feed.xml").read_bytes())) if row.ticker is None and row.form == "8-K"]
    [filed] = _events(_parsed(_file("2026-09-21T10:29:41.000Z", accessions=[fed.event_id])))

    settled = settle(fed, filed)

    assert isinstance(settled, CatalystEvent)
    assert (settled.published_at, settled.published_zone) == (fed.published_at, "offset")
    assert (settled.ticker, settled.url) == (filed.ticker, filed.url)
    assert settle(settled, fed) == settled


def test_the_feed_corrects_an_undecided_time_once_and_no_decided_one() -> None:
    [fed] = [row for row in _events(_parsed((FIXTURES / "feed.xml").read_bytes())) if row.form == "8-K"]
    [undecided] = _events(_parsed(_file("2026-09-21T10:29:41.000Z", accessions=[fed.event_id])))
    decided, _ = _events(_parsed(_file("2026-09-21T10:29:40.000Z", "2026-03-06T06:00:00.000Z", accessions=[fed.event_id, _OTHER])))

    corrected = settle(undecided, fed)

    assert isinstance(corrected, CatalystEvent)
    assert (undecided.published_zone, corrected.published_at, corrected.ticker) == ("undecided", fed.published_at, undecided.ticker)
    assert settle(corrected, fed) == corrected
    assert settle(corrected, undecided) == corrected
    assert settle(decided, fed) == decided


_OTHER = "0001050446-26-000001"
