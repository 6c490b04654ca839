"""News feeds in the shapes that publishers serve: one clean row an item, or a named error."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from omc_infra.errors import PayloadChangedError
from omc_infra.payload import Payload
from omc_pipeline.collection.discovery import discover_sources
from omc_pipeline.collection.feed_dates import feed_date
from omc_pipeline.collection.html_text import html_line
from omc_pipeline.collection.parsing import parse_payload
from omc_pipeline.collection.sections import source_config
from omc_pipeline.collection.source import Parsed
from omc_pipeline.ledgers.human import News

NEWS = discover_sources()["human_news"]
AT = datetime(2026, 10, 1, tzinfo=UTC)
ITEM = "<title>A title</title><link>https://p.invalid/a</link><guid>a</guid><pubDate>Wed, 30 Sep 2026 16:28:30 +0000</pubDate>"


def _feed(*items: str, head: str = "<rss version='2.0' xmlns:atom='http://www.w3.org/2005/Atom'>") -> bytes:
    return f"{head}<channel>{''.join(f'<item>{item}</item>' for item in items)}</channel></rss>".encode()


def _parsed(body: bytes, feed: str = "coindesk") -> Parsed:
    return parse_payload(NEWS, Payload("human_news", body, AT, "", context={"feed": feed}))


def _one(item: str) -> News:
    (row,) = _parsed(_feed(item)).rows
    assert isinstance(row, News)
    return row


def test_recorded_feeds_give_every_item_with_clean_title_link_and_summary(shared: Path) -> None:
    rows = _parsed((shared / "payloads/news_rss/cointelegraph_2026-09-30.xml").read_bytes(), "cointelegraph").rows
    rows = [*rows, *_parsed((shared / "payloads/news_rss/coindesk_2026-09-25.xml").read_bytes()).rows]

    details = {row.title: row for row in rows if isinstance(row, News)}
    thor = details["Could THORChain face prosecution over stolen Bitget funds?"]
    assert len(details) == 5
    assert thor.link == "https://cointelegraph.com/magazine/does-thorchain-face-a-criminal-reckoning-near-intents-bitget"
    assert thor.updated_at is not None
    assert thor.updated_at < thor.published_at == datetime(2026, 9, 30, 13, 30, tzinfo=UTC)
    assert all("<" not in (row.summary or "") and "utm_" not in row.link for row in details.values())
    assert details["Circle and Tether step in to freeze hacker wallet after massive Bitget crypto heist"].guid.startswith("a0b4a6ba-")


def test_one_guid_of_two_days_names_two_items() -> None:
    again = ITEM.replace("Wed, 30", "Tue, 29")

    rows = _parsed(_feed(ITEM, again)).rows

    assert len({(row.guid, row.published_at) for row in rows if isinstance(row, News)}) == 2


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<![CDATA[Q&amp;A: <b>BTC</b>&nbsp;&#8217;s day ]]>", "Q&A: BTC ’s day"),
        ("R&amp;amp;D  in\n two   lines", "R&D in two lines"),
        ("ETH &lt; 3k &amp; BTC > 60k", "ETH < 3k & BTC > 60k"),
        ("\u202eeslaf\u202c \u200bzero\ufeff", "eslaf zero"),
    ],
)
def test_a_title_is_one_line_without_markup_entities_and_invisible_characters(written: str, read: str) -> None:
    assert _one(ITEM.replace("A title", written)).title == read


def test_a_summary_is_short_and_an_option_keeps_none() -> None:
    long = ITEM + f"<description><![CDATA[<p><img src='x' alt='y'></p><script>bad()</script><p>{'word ' * 400}</p>]]></description>"

    summary = _one(long).summary
    without = parse_payload(NEWS, Payload("human_news", _feed(long), AT, ""), source_config(NEWS, {"summary_chars": 0})).rows[0]

    assert summary is not None
    assert summary.startswith("word word")
    assert summary.endswith("word…")
    assert len(summary) <= 280
    assert isinstance(without, News)
    assert without.summary is None


@pytest.mark.parametrize(
    "updated",
    [
        "<atom:updated>Wed, 30 Sep 2026 13:22:45 +0000</atom:updated>",
        "<atom:updated>2026-09-30T23:22:45+10:00</atom:updated>",
        "<updated>2026-09-30T13:22:45Z</updated>",
        "<updated>Wed, 30 Sep 2026 09:22:45 EDT</updated>",
    ],
)
def test_the_time_of_an_update_is_read_in_either_form_with_and_without_namespace(updated: str) -> None:
    assert _one(ITEM + updated).updated_at == datetime(2026, 9, 30, 13, 22, 45, tzinfo=UTC)


@pytest.mark.parametrize("written", ["Wed, 30 Sep 2026 16:28:30", "Wed, 30 Sep 2026 16:28:30 AEST", "yesterday", "", "2026-09-30T16:28:30"])
def test_a_date_without_a_zone_that_is_known_is_refused_and_its_neighbour_stays(written: str) -> None:
    parsed = _parsed(_feed(ITEM.replace("Wed, 30 Sep 2026 16:28:30 +0000", written), ITEM))

    assert len(parsed.rows) == len(parsed.rejected) == 1
    assert "pubDate" in parsed.rejected[0].reason


def test_a_minus_zero_zone_is_utc() -> None:
    assert feed_date("Wed, 30 Sep 2026 16:28:30 -0000", "pubDate") == datetime(2026, 9, 30, 16, 28, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://p.invalid/a?utm_source=rss&amp;id=7&amp;UTM_Medium=x#top", "https://p.invalid/a?id=7#top"),
        ("<![CDATA[ https://p.invalid/a?utm_campaign=c ]]>", "https://p.invalid/a"),
    ],
)
def test_a_link_loses_the_parameters_that_track_its_reader(written: str, kept: str) -> None:
    assert _one(ITEM.replace("https://p.invalid/a", written)).link == kept


@pytest.mark.parametrize("written", ["javascript:alert(1)", "/relative", "https://", "https://[x", ""])
def test_an_item_without_a_link_of_the_web_is_refused(written: str) -> None:
    parsed = _parsed(_feed(ITEM.replace("https://p.invalid/a", written), ITEM))

    assert (len(parsed.rows), len(parsed.rejected)) == (1, 1)


def test_elements_of_other_namespaces_are_not_taken_for_the_items_own() -> None:
    media = "<m:title xmlns:m='urn:m'>Picture</m:title><atom:link href='https://p.invalid/self'/><m:link xmlns:m='urn:m'>x</m:link>"

    row = _one(media + ITEM)

    assert (row.title, row.link) == ("A title", "https://p.invalid/a")


def test_an_item_without_a_guid_is_named_by_its_link() -> None:
    assert _one(ITEM.replace("<guid>a</guid>", "<guid/>")).guid == "https://p.invalid/a"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (_feed(ITEM + "<sy:updatePeriod>hourly</sy:updatePeriod>"), "unbound prefix"),
        (_feed(ITEM) + _feed(ITEM), "junk after document element"),
        (b"<!DOCTYPE rss [<!ENTITY x 'y'>]>" + _feed(ITEM.replace("A title", "&x;")), "EntitiesForbidden"),
        (b"<feed xmlns='http://www.w3.org/2005/Atom'><entry/></feed>", "no RSS feed"),
        (_feed(), "no item"),
    ],
    ids=["undeclared prefix", "two roots", "entity", "atom", "no items"],
)
def test_a_feed_that_is_no_sound_rss_is_refused_whole_in_one_line(body: bytes, said: str) -> None:
    with pytest.raises(PayloadChangedError, match=said):
        _parsed(body)


@pytest.mark.parametrize(
    "feeds", [{}, {"Coin Desk": "https://a.invalid/rss"}, {"x": "http://a.invalid/rss"}, {"further": "https://a.invalid/"}]
)
def test_feeds_need_names_and_https_addresses(feeds: dict[str, str]) -> None:
    with pytest.raises(Exception, match="feed"):
        source_config(NEWS, {"feeds": feeds})


@pytest.mark.parametrize("piece", ["<a ", "<a href='x ", "<script>", '<a b="', "&amp;", "<!--", "<"])
def test_html_without_end_is_read_in_no_time(piece: str) -> None:
    began = time.monotonic()

    line = html_line(piece * 1_000_000, 100)

    assert time.monotonic() - began < 0.5
    assert len(line) <= 100
