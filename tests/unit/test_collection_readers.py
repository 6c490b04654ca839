"""The readers that parsers share: XML without entities and external documents, CSV held to its columns, answers in pages."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from omc_infra.errors import AccessDeniedError, BadInputError, OmcError, PayloadChangedError, UpstreamRefusedError
from omc_infra.payload import Payload
from omc_pipeline.collection.cadence import is_due
from omc_pipeline.collection.csv_body import read_csv
from omc_pipeline.collection.paging import by_cursor, by_offset, by_page
from omc_pipeline.collection.window import Window, floor, following
from omc_pipeline.collection.xml_body import read_xml, xml_item

AT = datetime(2026, 9, 21, 14, 35, 7, tzinfo=UTC)
SECRET = Path(__file__)


def _payload(body: bytes | str) -> Payload:
    return Payload("human_news", body if isinstance(body, bytes) else body.encode(), AT, "")


FEED = """<?xml version="1.0" encoding="ISO-8859-1"?>
<rss xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>
<item id="7"><title>One &amp; <b>only</b></title><dc:creator>Ann</dc:creator><title>second</title></item>
</channel></rss>"""


def test_xml_gives_the_text_of_children_by_their_local_names() -> None:
    (item,) = read_xml(_payload(FEED)).iter("item")

    assert xml_item(item) == {"@id": "7", "title": "One & only", "creator": "Ann"}
    assert xml_item(item, ("creator",)) == {"@id": "7", "creator": "Ann"}


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        ('<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>', PayloadChangedError, "EntitiesForbidden"),
        (f'<!DOCTYPE l [<!ENTITY a SYSTEM "file://{SECRET}">]><l>&a;</l>', PayloadChangedError, "EntitiesForbidden"),
        ('<!DOCTYPE l [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x"> %p;]><l/>', PayloadChangedError, "EntitiesForbidden"),
        ("<a>" * 5_000 + "</a>" * 5_000, PayloadChangedError, "nested too deep"),
        ("<a><b></a>", PayloadChangedError, "not XML: mismatched tag"),
        ("<a:b/>", PayloadChangedError, "not XML: unbound prefix"),
        ('<?xml version="1.0" encoding="cp037"?><a/>', PayloadChangedError, "XML"),
        ("", PayloadChangedError, "empty"),
        ('{"a": 1}', PayloadChangedError, "not XML"),
        ("<!DOCTYPE html><html><head><title>Wait</title></head></html>", UpstreamRefusedError, "HTML page instead of XML"),
        ("<Error><Code>AccessDenied</Code><Message>No</Message></Error>", AccessDeniedError, "AccessDenied: No"),
    ],
)
def test_what_is_no_plain_xml_is_named_in_one_line(body: str, error: type[OmcError], said: str) -> None:
    with pytest.raises(error, match=said) as raised:
        read_xml(_payload(body))

    assert str(raised.value).startswith("human_news: ")
    assert str(raised.value).isprintable()


def test_an_external_document_type_is_never_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.2)
        port = elsewhere.getsockname()[1]

        root = read_xml(_payload(f'<!DOCTYPE l SYSTEM "http://127.0.0.1:{port}/x.dtd"><l/>'))

        assert root.tag == "l"
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def test_csv_gives_rows_by_column_and_a_row_of_another_length_as_a_list() -> None:
    rows = read_csv(_payload('\ufeffday, score,note\n2026-09-21,7.10,"a, ""b"""\n2026-09-22,8\n\n'), ("day", "score"))

    assert rows == [{"day": "2026-09-21", "score": "7.10", "note": 'a, "b"'}, ["2026-09-22", "8"]]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("day,value\n2026,1\n", "no column score"),
        ("day,score,day\n", "twice"),
        ('day,score\n"2026', "not CSV"),
        ("", "empty"),
        (b"day,score\n\xff\xfe,1\n", "not UTF-8"),
        ("day,score\n" + "9" * 200_000 + ",1\n", "not CSV"),
    ],
)
def test_what_is_not_the_csv_that_is_known_is_refused(body: bytes | str, said: str) -> None:
    with pytest.raises(PayloadChangedError, match=said):
        read_csv(_payload(body), ("day", "score"))


def test_pages_are_read_by_cursor_number_and_offset_up_to_the_last() -> None:
    pages = {None: "b", "b": "c", "c": None}
    cursors: list[str | None] = []
    numbers: list[int] = []
    offsets: list[int] = []

    def by_name(cursor: str | None) -> Payload:
        cursors.append(cursor)
        return _payload(str(cursor))

    def numbered(number: int) -> Payload:
        numbers.append(number)
        return _payload("x" * (3 - number))

    def skipping(offset: int) -> Payload:
        offsets.append(offset)
        return _payload("x" * min(10, 25 - offset))

    list(by_cursor(by_name, lambda page: pages[None if page.body == b"None" else page.body.decode()]))
    list(by_page(numbered, lambda page: not page.body))
    list(by_offset(skipping, lambda page: len(page.body), 10))

    assert cursors == [None, "b", "c"]
    assert numbers == [1, 2, 3]
    assert offsets == [0, 10, 20]


def test_pages_that_never_end_or_lead_back_end_at_a_bound() -> None:
    def ask(_: object) -> Payload:
        return _payload("x")

    def taken(pages: Iterator[Payload]) -> int:
        seen: list[Payload] = []
        with pytest.raises(PayloadChangedError, match="human_news: "):
            seen.extend(pages)
        return len(seen)

    assert taken(by_page(ask, lambda _: False, most=5)) == 5
    assert taken(by_offset(ask, lambda _: 10, 10, most=5)) == 5
    assert taken(by_cursor(ask, lambda _: "same")) == 2


@pytest.mark.parametrize(
    ("cron", "moment", "due"),
    [
        ("* * * * *", datetime(2026, 9, 21, 14, 35, tzinfo=UTC), True),
        ("5 * * * *", datetime(2026, 9, 21, 14, 5, 59, tzinfo=UTC), True),
        ("5 * * * *", datetime(2026, 9, 21, 14, 6, tzinfo=UTC), False),
        ("7-59/15 * * * *", datetime(2026, 9, 21, 14, 22, tzinfo=UTC), True),
        ("7-59/15 * * * *", datetime(2026, 9, 21, 14, 15, tzinfo=UTC), False),
        ("15 0 * * *", datetime(2026, 9, 21, 0, 15, tzinfo=UTC), True),
        ("0 0 1,15 * *", datetime(2026, 9, 15, tzinfo=UTC), True),
        ("0 0 1 * 1", datetime(2026, 9, 21, tzinfo=UTC), True),  # a Monday: with both days named, either will do
        ("0 0 * * 7", datetime(2026, 9, 20, tzinfo=UTC), True),  # a Sunday
        ("0 0 * * 0", datetime(2026, 9, 21, tzinfo=UTC), False),
        ("10/20 * * * *", datetime(2026, 9, 21, 14, 50, tzinfo=UTC), True),
    ],
)
def test_a_cron_line_names_the_minutes_that_it_names(cron: str, moment: datetime, due: bool) -> None:
    assert is_due(cron, moment) is due


@pytest.mark.parametrize("cron", ["", "* * * *", "60 * * * *", "a * * * *", "* * 0 * *", "5-1 * * * *"])
def test_what_is_no_cron_line_is_an_error(cron: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        is_due(cron, AT)


def test_a_window_of_days_ends_with_its_last_day_and_reads_back_what_it_wrote() -> None:
    window = Window.of_days(date(2026, 9, 1), date(2026, 9, 30))

    assert Window.parsed(str(window)) == window
    assert len(list(window.days())) == 30
    assert datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC) in window
    assert datetime(2026, 10, 1, tzinfo=UTC) not in window
    with pytest.raises(BadInputError, match="before its start"):
        Window.of_days(date(2026, 9, 2), date(2026, 9, 1))


def test_spans_are_aligned_to_the_calendar() -> None:
    assert floor(AT, "hour") == datetime(2026, 9, 21, 14, tzinfo=UTC)
    assert floor(AT, "month") == datetime(2026, 9, 1, tzinfo=UTC)
    assert following(datetime(2026, 12, 1, tzinfo=UTC), "month") == datetime(2027, 1, 1, tzinfo=UTC)
    assert following(datetime(2026, 2, 28, tzinfo=UTC), "day") == datetime(2026, 3, 1, tzinfo=UTC)
